// The schemas of the bus's events in EventBridge's schema registry, where IDEs find them and make types of them. What is put
// there by hand costs nothing; discovery, which does, stays off. Not on the local stage: emulators have no registry.
const { readdirSync, readFileSync } = require('node:fs');
const { join } = require('node:path');

const FOLDER = join(__dirname, '../contracts/schemas');
const REGISTRY = 'org-connections-${sls:stage}';

/** A schema of draft 7 in the words of draft 4, the only one that the registry takes. */
function draft4(schema) {
  if (Array.isArray(schema)) return schema.map(draft4);
  if (schema === null || typeof schema !== 'object') return schema;
  const { $schema, $id, const: constant, if: condition, then, examples, ...rest } = schema;
  return {
    ...($schema && { $schema: 'http://json-schema.org/draft-04/schema#' }),
    ...($id && { id: $id }),
    ...Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, draft4(value)])),
    ...(constant !== undefined && { enum: [constant] }),
    ...(condition && { dependencies: Object.fromEntries(condition.required.map((name) => [name, draft4(then)])) }),
  };
}

function schemaOf(file) {
  const schema = JSON.parse(readFileSync(join(FOLDER, file), 'utf8'));
  return {
    Type: 'AWS::EventSchemas::Schema',
    Properties: {
      RegistryName: { 'Fn::GetAtt': ['EventSchemaRegistry', 'RegistryName'] },
      // As EventBridge names what it discovers: source and detail-type, where one source alone may send it.
      SchemaName: `${schema.properties.source.const ? `${schema.properties.source.const}@` : ''}${file.replace('.json', '')}`,
      Type: 'JSONSchemaDraft4',
      Description: schema.title,
      Content: JSON.stringify(draft4(schema)),
    },
  };
}

module.exports = async ({ resolveVariable }) => {
  if ((await resolveVariable('sls:stage')) === 'local') return { Resources: {} };
  const logicalId = (file) =>
    `EventSchema${file.replace('.json', '').replace(/(^|[._])(\w)/g, (_, __, letter) => letter.toUpperCase())}`;
  const schemas = readdirSync(FOLDER).map((file) => [logicalId(file), schemaOf(file)]);
  const Registry = { RegistryName: REGISTRY, Description: 'The events on the bus of the same name' };
  const registry = { Type: 'AWS::EventSchemas::Registry', Properties: Registry };
  return { Resources: { EventSchemaRegistry: registry, ...Object.fromEntries(schemas) } };
};
