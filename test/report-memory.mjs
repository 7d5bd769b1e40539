// Loaded into a function's process: on a signal it collects garbage and logs how much is left and how many sockets are open.
process.on('SIGUSR2', () => {
  globalThis.gc?.();
  const sockets = process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
  process.stdout.write(`${JSON.stringify({ code: 'memory', heap: process.memoryUsage().heapUsed, sockets })}\n`);
});
