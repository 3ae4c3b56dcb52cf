"""Real Python clients, unmodified, against `truevec serve`; vectors are the reference's to 1e-5."""
import asyncio
import os
import unittest
import warnings

os.environ.update({"ANONYMIZED_TELEMETRY": "False", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                   "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"})
warnings.simplefilter("ignore")

from client_case import KEY, ClientCase  # noqa: E402


class OpenAiTest(ClientCase):
    def test_openai(self):
        import openai
        client = openai.OpenAI(base_url=self.url + "/v1", api_key=KEY, max_retries=0)
        self.check([row.embedding for row in client.embeddings.create(model="dense", input=self.texts).data])
        as_floats = client.embeddings.create(model="dense", input=self.texts, encoding_format="float")
        self.check([row.embedding for row in as_floats.data])
        self.assertGreater(as_floats.usage.prompt_tokens, len(self.texts))
        self.assertEqual(len(client.embeddings.create(model="dense", input="a", dimensions=5).data[0].embedding), 5)
        self.assertEqual({model.id for model in client.models.list()}, {"dense", "cross"})
        self.assertEqual(client.models.retrieve("dense").id, "dense")
        with self.assertRaises(openai.NotFoundError) as caught:
            client.embeddings.create(model="missing", input="a")
        self.assertEqual(caught.exception.code, "model_not_found")
        with self.assertRaises(openai.BadRequestError):
            client.embeddings.create(model="dense", input=[])
        with self.assertRaises(openai.AuthenticationError):
            openai.OpenAI(base_url=self.url + "/v1", api_key="wrong", max_retries=0).embeddings.create(model="dense", input="a")
        self.assertEqual(len(client.embeddings.create(model="dense", input=["a"] * 2048).data), 2048)

    def test_openai_async(self):
        import openai

        async def run():
            async with openai.AsyncOpenAI(base_url=self.url + "/v1", api_key=KEY) as client:
                return await asyncio.gather(*[client.embeddings.create(model="dense", input=self.texts[i % len(self.texts)])
                                              for i in range(300)])
        self.check([reply.data[0].embedding for reply in asyncio.run(run())],
                   [self.expected[i % len(self.texts)] for i in range(300)])

    def test_http2_falls_back(self):
        import httpx
        with httpx.Client(http2=True) as client:
            reply = client.post(self.open_url + "/embed", json={"inputs": self.texts})
        self.assertEqual(reply.http_version, "HTTP/1.1")
        self.check(reply.json())

    def test_langchain_openai(self):
        from langchain_openai import OpenAIEmbeddings
        embeddings = OpenAIEmbeddings(base_url=self.url + "/v1", api_key=KEY, model="dense", check_embedding_ctx_length=False)
        self.check(embeddings.embed_documents(self.texts))
        self.check([embeddings.embed_query(self.texts[0])], self.expected[:1])


    def test_llama_index_openai_like(self):
        from llama_index.embeddings.openai_like import OpenAILikeEmbedding
        embedding = OpenAILikeEmbedding(model_name="dense", api_base=self.url + "/v1", api_key=KEY)
        self.check(embedding.get_text_embedding_batch(self.texts))
        self.check([embedding.get_query_embedding(self.texts[0])], self.expected[:1])


class HuggingFaceTest(ClientCase):
    def test_inference_client(self):
        from huggingface_hub import InferenceClient
        client = InferenceClient(model=self.url, token=KEY)
        self.check([client.feature_extraction(text)[0] for text in self.texts])
        self.check(client.feature_extraction(self.texts[0], normalize=True, truncate=True, truncation_direction="right"),
                   self.expected[:1])
        scores = client.sentence_similarity(self.texts[0], self.texts[1:])
        cosines = [sum(a * b for a, b in zip(self.expected[0], other)) for other in self.expected[1:]]
        for got, want in zip(scores, cosines, strict=True):
            self.assertAlmostEqual(got, want, delta=1e-5)

    def test_llama_index_tei(self):
        from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference
        embedding = TextEmbeddingsInference(model_name="dense", base_url=self.url, auth_token=KEY, text_instruction="",
                                            query_instruction="")
        self.check(embedding.get_text_embedding_batch(self.texts))
        self.check([embedding.get_query_embedding(self.texts[0])], self.expected[:1])

    def test_chroma(self):
        from chromadb.utils.embedding_functions import HuggingFaceEmbeddingServer
        self.check(list(HuggingFaceEmbeddingServer(url=self.url + "/embed", api_key=KEY)(self.texts))
                   if "api_key" in HuggingFaceEmbeddingServer.__init__.__code__.co_varnames
                   else list(HuggingFaceEmbeddingServer(url=self.open_url + "/embed")(self.texts)))


class HaystackTest(ClientCase):
    def wrap(self, texts):
        from haystack import Document
        return [Document(content=text) for text in texts]

    def embed(self, one, many):
        self.check([one.run(self.texts[0])["embedding"]], self.expected[:1])
        self.check([document.embedding for document in many.run(self.wrap(self.texts))["documents"]])

    def rank(self, ranker):
        ranked = ranker.run(query=self.query, documents=self.wrap(self.documents))["documents"]
        self.check_scores({self.documents.index(document.content): document.score for document in ranked})

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
        from haystack.utils import Secret
        cls.key = Secret.from_token(KEY)

    def test_openai(self):
        from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
        options = {"api_key": self.key, "model": "dense", "api_base_url": self.url + "/v1"}
        self.embed(OpenAITextEmbedder(**options), OpenAIDocumentEmbedder(progress_bar=False, **options))

    def test_tei(self):
        from haystack_integrations.components.embedders.huggingface_api import HuggingFaceAPIDocumentEmbedder, HuggingFaceAPITextEmbedder
        from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker
        options = {"api_type": "text_embeddings_inference", "api_params": {"url": self.url}, "token": self.key, "normalize": True}
        self.embed(HuggingFaceAPITextEmbedder(**options), HuggingFaceAPIDocumentEmbedder(progress_bar=False, **options))
        self.rank(HuggingFaceTEIRanker(url=self.url, token=self.key, top_k=100))

    def test_cohere(self):
        from haystack_integrations.components.embedders.cohere import CohereDocumentEmbedder, CohereTextEmbedder
        from haystack_integrations.components.rankers.cohere import CohereRanker
        options = {"api_key": self.key, "model": "dense", "api_base_url": self.url, "input_type": "classification"}
        self.embed(CohereTextEmbedder(**options), CohereDocumentEmbedder(progress_bar=False, **options))
        self.rank(CohereRanker(model="cross", api_key=self.key, api_base_url=self.url, top_k=100))


class OllamaTest(ClientCase):
    def test_ollama(self):
        import ollama
        client = ollama.Client(host=self.url, headers={"Authorization": "Bearer " + KEY})
        self.check(client.embed(model="dense", input=self.texts).embeddings)
        self.check([client.embeddings(model="dense", prompt=self.texts[0]).embedding], self.expected[:1])
        self.assertEqual({model.model for model in client.list().models}, {"dense:latest", "cross:latest"})
        with self.assertRaises(ollama.ResponseError) as caught:
            client.embed(model="missing", input="a")
        self.assertEqual(caught.exception.status_code, 404)

    def test_langchain_ollama(self):
        from langchain_ollama import OllamaEmbeddings
        embeddings = OllamaEmbeddings(model="dense", base_url=self.open_url)
        self.check(embeddings.embed_documents(self.texts))


class CohereTest(ClientCase):
    def test_v2(self):
        import cohere
        client = cohere.ClientV2(api_key=KEY, base_url=self.url)
        reply = client.embed(model="dense", texts=self.texts, input_type="classification", embedding_types=["float"])
        self.check(reply.embeddings.float_)
        ranked = client.rerank(model="cross", query=self.query, documents=self.documents)
        self.check_scores({row.index: row.relevance_score for row in ranked.results})
        with self.assertRaises(cohere.NotFoundError):
            client.embed(model="missing", texts=["a"], input_type="classification", embedding_types=["float"])

    def test_v1(self):
        import cohere
        client = cohere.Client(api_key=KEY, base_url=self.url)
        self.check(client.embed(model="dense", texts=self.texts, input_type="classification").embeddings)
        ranked = client.rerank(model="cross", query=self.query, documents=self.documents)
        self.check_scores({row.index: row.relevance_score for row in ranked.results})


class LiteLlmTest(ClientCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        import litellm
        litellm.suppress_debug_info = True

    def test_embeddings(self):
        import litellm
        for model, base in (("openai/dense", "/v1"), ("hosted_vllm/dense", "/v1"), ("infinity/dense", "")):
            reply = litellm.embedding(model=model, input=self.texts, api_base=self.url + base, api_key=KEY)
            self.check([row["embedding"] for row in reply.data])

    def test_ollama(self):
        import litellm
        reply = litellm.embedding(model="ollama/dense", input=self.texts, api_base=self.open_url)
        self.check([row["embedding"] for row in reply.data])

    def test_rerank(self):
        import litellm
        for model in ("hosted_vllm/cross", "infinity/cross", "jina_ai/cross", "cohere/cross"):
            reply = litellm.rerank(model=model, query=self.query, documents=self.documents, api_base=self.url, api_key=KEY)
            self.check_scores({row["index"]: row["relevance_score"] for row in reply.results})


if __name__ == "__main__":
    unittest.main()
