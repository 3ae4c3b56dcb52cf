// Real Node clients, unmodified, against `truevec serve`; the reference's vectors come in on stdin as
// {"url","key","texts","expected","query","documents","scores"}.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import test from 'node:test';
import {createOpenAICompatible} from '@ai-sdk/openai-compatible';
import {InferenceClient} from '@huggingface/inference';
import {OpenAIEmbeddings} from '@langchain/openai';
import {embedMany} from 'ai';
import {CohereClient, CohereClientV2} from 'cohere-ai';
import {Ollama} from 'ollama';
import OpenAI from 'openai';

const given = JSON.parse(readFileSync(process.env.TRUEVEC_CLIENT_CASES, 'utf8'));

function check(vectors, expected = given.expected) {
  assert.equal(vectors.length, expected.length);
  vectors.forEach((vector, i) => {
    assert.equal(vector.length, expected[i].length);
    vector.forEach((value, k) => assert.ok(Math.abs(value - expected[i][k]) < 1e-5, `${i},${k}: ${value}`));
  });
}

function checkScores(results, score) {
  assert.equal(results.length, given.scores.length);
  for (const row of results) assert.ok(Math.abs(score(row) - given.scores[row.index]) < 1e-5);
}

test('openai: base64 and float', async () => {
  const client = new OpenAI({baseURL: given.url + '/v1', apiKey: given.key, maxRetries: 0});
  check((await client.embeddings.create({model: 'dense', input: given.texts})).data.map((row) => row.embedding));
  const floats = await client.embeddings.create({model: 'dense', input: given.texts, encoding_format: 'float'});
  check(floats.data.map((row) => row.embedding));
  await assert.rejects(client.embeddings.create({model: 'missing', input: 'a'}), {status: 404, code: 'model_not_found'});
});

test('ollama', async () => {
  const client = new Ollama({host: given.url, headers: {Authorization: 'Bearer ' + given.key}});
  check((await client.embed({model: 'dense', input: given.texts})).embeddings);
  check([(await client.embeddings({model: 'dense', prompt: given.texts[0]})).embedding], given.expected.slice(0, 1));
  assert.equal((await client.list()).models[0].name, 'dense:latest');
});

test('cohere-ai v2 and v1', async () => {
  const client = new CohereClientV2({token: given.key, environment: given.url, baseUrl: given.url});
  const reply = await client.embed({model: 'dense', texts: given.texts, inputType: 'classification', embeddingTypes: ['float']});
  check(reply.embeddings.float);
  const ranked = await client.rerank({model: 'cross', query: given.query, documents: given.documents});
  checkScores(ranked.results, (row) => row.relevanceScore);
  const old = new CohereClient({token: given.key, environment: given.url, baseUrl: given.url});
  check((await old.embed({model: 'dense', texts: given.texts, inputType: 'classification'})).embeddings);
});

test('@huggingface/inference', async () => {
  const client = new InferenceClient(given.key, {endpointUrl: given.url});
  const one = await client.featureExtraction({endpointUrl: given.url, inputs: given.texts[0]});
  check(Array.isArray(one[0]) ? one : [one], given.expected.slice(0, 1));
  check(await client.featureExtraction({endpointUrl: given.url, inputs: given.texts}));
});

test('ai sdk', async () => {
  const provider = createOpenAICompatible({name: 'truevec', baseURL: given.url + '/v1', apiKey: given.key});
  const model = (provider.embeddingModel ?? provider.textEmbeddingModel)('dense');
  check((await embedMany({model, values: given.texts})).embeddings);
});

test('@langchain/openai', async () => {
  const embeddings = new OpenAIEmbeddings({model: 'dense', apiKey: given.key, configuration: {baseURL: given.url + '/v1'}});
  check(await embeddings.embedDocuments(given.texts));
  check([await embeddings.embedQuery(given.texts[0])], given.expected.slice(0, 1));
});
