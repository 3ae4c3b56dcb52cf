// The page at /: embeds the given texts and shows similarities, tokens, truncation, latency and settings.
'use strict';
const byId = (id) => document.getElementById(id);
let models = [];
let reports = [];

function element(tag, text, attributes = {}) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function say(text, error = false) {
  byId('status').textContent = text;
  byId('status').className = error ? 'error' : '';
}

async function ask(path, body) {
  const headers = {};
  if (byId('key').value) headers.authorization = 'Bearer ' + byId('key').value;
  if (body) headers['content-type'] = 'application/json';
  const start = performance.now();
  const response = await fetch(path, {method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body)});
  const reply = await response.json();
  if (!response.ok) {
    const told = reply.error && reply.error.message ? reply.error.message : reply.error || reply.message;
    throw new Error(response.status + ': ' + told);
  }
  return {reply, headers: response.headers, milliseconds: performance.now() - start};
}

function fromBase64(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

function cosine(a, b) {
  let dot = 0, aa = 0, bb = 0;
  for (let i = 0; i < a.length; ++i) { dot += a[i] * b[i]; aa += a[i] * a[i]; bb += b[i] * b[i]; }
  return dot / Math.max(Math.sqrt(aa) * Math.sqrt(bb), 1e-24);
}

function showMatrix(texts, vectors) {
  const table = byId('matrix');
  table.replaceChildren();
  const head = table.createTHead().insertRow();
  head.append(element('td', ''));
  texts.forEach((text, i) => head.append(element('th', String(i + 1), {scope: 'col', title: text})));
  const rows = table.createTBody();
  texts.forEach((text, i) => {
    const row = rows.insertRow();
    row.append(element('th', (i + 1) + '. ' + text, {scope: 'row', title: text}));
    texts.forEach((_, k) => {
      const value = cosine(vectors[i], vectors[k]);
      const cell = element('td', value.toFixed(4));
      const strength = Math.round(Math.min(Math.abs(value), 1) * 70);
      cell.style.background = `color-mix(in srgb, ${value < 0 ? '#c53030' : '#2b6cb0'} ${strength}%, transparent)`;
      row.append(cell);
    });
  });
  byId('matrix-section').hidden = false;
}

function showTokens(explained) {
  const list = byId('tokens');
  list.replaceChildren();
  for (const one of explained) {
    const item = element('li');
    (one.tokens || []).forEach((token, i) => {
      const box = element('span', token.text || '∅', {class: 'token' + (token.special ? ' special' : '')});
      box.style.background = `hsl(${(i * 47) % 360} 70% 82%)`;
      box.append(element('small', token.id));
      item.append(box);
    });
    const count = one.ids.length + ' tokens' + (one.prompt ? ', prompt “' + one.prompt + '” in front' : '');
    item.append(element('div', count, {class: 'note'}));
    if (one.truncated_tokens > 0) {
      item.append(element('div', `Truncated: ${one.truncated_tokens} tokens over ${one.max_length} were cut.`, {class: 'cut'}));
    }
    list.append(item);
  }
  byId('tokens-section').hidden = false;
}

function showLatency(timing, total) {
  const table = byId('latency');
  table.replaceChildren();
  const add = (name, value) => {
    const row = table.insertRow();
    row.append(element('th', name, {scope: 'row'}), element('td', value.toFixed(2) + ' ms'));
  };
  add('seen by this page', total);
  for (const part of (timing || '').split(',')) {
    const match = part.match(/(\w+);dur=([\d.e+-]+)/);
    if (match) add('server: ' + match[1], Number(match[2]));
  }
  byId('latency-section').hidden = false;
}

function sourceText(source) {
  if (source.file !== undefined) return source.file + ': ' + source.key;
  if (source.override !== undefined) return 'override ' + source.override;
  return 'default of ' + source.default;
}

function showSettings(report) {
  const table = byId('settings');
  table.replaceChildren();
  if (!report) return;
  const head = table.createTHead().insertRow();
  for (const name of ['Setting', 'Value', 'From', 'Contradicted by']) head.append(element('th', name, {scope: 'col'}));
  const rows = table.createTBody();
  for (const setting of report.settings) {
    const row = rows.insertRow();
    row.append(element('th', setting.key, {scope: 'row'}));
    const value = element('td');
    value.append(element('code', JSON.stringify(setting.value)));
    row.append(value, element('td', sourceText(setting.source)));
    const conflicts = setting.conflicts || [];
    row.append(element('td', conflicts.map((c) => JSON.stringify(c.value) + ' (' + sourceText(c.source) + ')').join('; ')));
  }
  byId('warnings').replaceChildren(...(report.warnings || []).map((text) => element('li', text)));
}

function chooseModel() {
  const id = byId('models').value;
  const model = models.find((one) => one.id === id);
  const report = reports.find((one) => one.id === id);
  if (model) byId('model').textContent = `${id}: ${model.kind}, ${model.dimension} dimensions, ${model.max_model_len} tokens, ${model.fingerprint}`;
  const prompts = report && report.settings.find((one) => one.key === 'prompts');
  const choices = [element('option', "the model's default", {value: ''})];
  for (const [name, text] of Object.entries((prompts && prompts.value) || {})) {
    choices.push(element('option', name + (text ? ': ' + text : ''), {value: name}));
  }
  byId('prompt').replaceChildren(...choices);
  showSettings(report);
}

async function start() {
  try {
    models = (await ask('v1/models')).reply.data;
    byId('models').replaceChildren(...models.map((one) => element('option', one.id, {value: one.id})));
    byId('model').textContent = models.length ? models[0].id : 'the model is loading';
    reports = (await ask('inspect')).reply.models;
  } catch (error) {
    say(String(error.message || error), true);
  }
  chooseModel();
}

async function run(event) {
  event.preventDefault();
  const texts = byId('texts').value.split('\n').filter((line) => line.trim() !== '');
  if (texts.length === 0) return say('Give at least one text.', true);
  byId('run').disabled = true;
  say('Working…');
  try {
    if (reports.length === 0) await start();
    const choice = {model: byId('models').value};
    if (byId('prompt').value) choice.prompt_name = byId('prompt').value;
    if (byId('dimensions').value) choice.dimensions = Number(byId('dimensions').value);
    const {reply, headers, milliseconds} = await ask('v1/embeddings', {...choice, input: texts, encoding_format: 'base64'});
    const vectors = reply.data.map((one) => fromBase64(one.embedding));
    showMatrix(texts, vectors);
    showLatency(headers.get('server-timing'), milliseconds);
    const explained = [];
    for (const text of texts.slice(0, 50)) explained.push((await ask('explain', {...choice, text})).reply);
    showTokens(explained);
    const cut = explained.filter((one) => one.truncated_tokens > 0).length;
    say(`${texts.length} vectors of ${vectors[0].length} values, ${reply.usage.total_tokens} tokens` +
        (cut ? `; ${cut} texts were truncated` : ''));
  } catch (error) {
    say(String(error.message || error), true);
  }
  byId('run').disabled = false;
}

byId('form').addEventListener('submit', run);
byId('models').addEventListener('change', chooseModel);
byId('key').addEventListener('change', start);
document.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) byId('form').requestSubmit();
});
start();
