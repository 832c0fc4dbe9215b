// Runs code the way n8n's Code node and its expressions do: no modules, no Node globals but Buffer.
// stdin: {code, item, nodes: {name: json}, globals}; stdout: what the code returns, or {error}.
const vm = require('node:vm');
const { code, item, nodes, globals } = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));

const getBinaryDataBuffer = async (_, name) => Buffer.from(item.binary[name].data, 'base64');
const context = vm.createContext({
  Buffer,
  ...globals,
  $input: { first: () => item },
  $: (name) => ({ isExecuted: name in nodes, first: () => ({ json: nodes[name] }) }),
  self: { helpers: { getBinaryDataBuffer } },
});

vm.runInContext(`(async function () {${code}\n}).call(self)`, context).then(
  (result) => console.log(JSON.stringify({ result })),
  (error) => console.log(JSON.stringify({ error: error.message })),
);
