// Who may send to each queue and who may write the table: the functions that have the permission (infra/stack/permissions.cjs), and
// the roles of Scheduler. A queue's or the table's own policy denies it to everybody else, whatever their policies allow.

const { functionsThat, TABLE_WRITES } = require('./permissions.cjs');
const { roleArnOf } = require('./roles.cjs');

module.exports = async ({ resolveVariable }) => {
  const endsSessions = String(await resolveVariable('param:endSessions')) === 'true';
  const sendersTo = (queue) => functionsThat(['sqs:SendMessage'], queue, endsSessions).map(roleArnOf);
  return {
    offboardingQueue: [...sendersTo('OffboardingQueue'), roleArnOf('removals')],
    deadLetters: sendersTo('OffboardingDeadLetters'),
    removalsUndelivered: [roleArnOf('removals')],
    requestsUndelivered: [roleArnOf('clock')],
    sessionQueue: sendersTo('SessionQueue'),
    connectionChangesUndelivered: sendersTo('ConnectionChangesUndelivered'),
    tableWriters: functionsThat(TABLE_WRITES, 'OffboardingsTable', endsSessions).map(roleArnOf),
  };
};
