"""tests/golden/jinja.json: templates rendered by transformers; tests/golden/pipeline/chat_*: models that read messages."""
import json
import shutil

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules as M
from transformers.utils.chat_template_utils import _compile_jinja_template

from goldens import _common, _tiny
from goldens._tiny import HIDDEN, TEXTS
from goldens.pipeline import Maker

QWEN_RERANKER = """<|im_start|>system
Judge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>
<|im_start|>user
<Instruct>: {{ messages | selectattr("role", "eq", "system") | map(attribute="content") | first | default("Given a web search query, retrieve relevant passages that answer the query", true) }}
<Query>: {{ messages | selectattr("role", "eq", "query") | map(attribute="content") | first }}
<Document>: {{ messages | selectattr("role", "eq", "document") | map(attribute="content") | first }}<|im_end|>
<|im_start|>assistant
<think>

</think>

"""
CHATML = """{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
LLAMA2 = """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""
QWEN3 = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""
SNIPPETS = [
    "  {% if a %}  x{% endif %}\ny {{ a }}\n{# note #}\nz\n", "{%- if a -%}  x  {%- else -%} w {%- endif -%}\n", "a\n  {%+ if a %}b{% endif +%}\nc\n",
    "{{ undefined_name }}|{{ undefined_name is defined }}|{{ none }}|{{ true }}|{{ 1.0 }}|{{ 1e3 if false else 2.50 }}|{{ [1, 'a', none] }}|{{ {'k': \"it's\"} }}|{{ (1,) }}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{{ d | tojson }}{{ d | tojson(indent=2) }}{{ d.keys() | list }}",
    "{% for x in list if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }}{{ ',' if not loop.last }}{% else %}none{% endfor %}",
    "{% for x in [] %}{% else %}empty{% endfor %}{% for x in list %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% macro m(a, b='d') %}[{{ a }}{{ b }}]{% endmacro %}{{ m(1) }}{{ m('x', b=2) }}{{ m() }}", "{% set x %}block {{ a }}{% endset %}{{ x | upper }}{% set y, z = 1, 2 %}{{ y + z }}",
    "{% set ns = namespace(n=0) %}{% for x in list %}{% set ns.n = ns.n + x %}{% set local = x %}{% endfor %}{{ ns.n }}{{ local is defined }}",
    "{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 3 }} {{ 1 + 2 * 3 }} {{ 'a' ~ 1 ~ none }} {{ 'ab' * 2 }} {{ -3 | abs }}",
    "{{ 'a' in 'cat' }}{{ 'z' not in 'cat' }}{{ 1 in list }}{{ not true }}{{ 1 == 1.0 }}{{ 'a' < 'b' }}{{ list == [1, 2, 3] }}",
    "{{ text[1:3] }}{{ text[-1] }}{{ text[::-1] }}{{ list[1:] }}{{ list[-2] }}{{ text[9] is defined }}", "{{ text | length }}{{ text.split(' ') }}{{ text.split() | join('-') }}{{ text.strip('h') }}{{ text.replace('l', 'L') }}{{ text.upper() }}{{ text.title() }}",
    "{{ '  pad ' | trim }}|{{ list | first }}{{ list | last }}{{ list | sum }}{{ list | join(', ') }}{{ list | reverse | list }}{{ 'a\nb' | indent(2) }}{{ list | length }}",
    "{{ messages | map(attribute='role') | join(',') }}|{{ messages | selectattr('role', 'ne', 'user') | list | length }}|{{ messages | rejectattr('content') | list }}|{{ messages | map(attribute='x', default='q') | list }}",
    "{{ '5' | int + 1 }}{{ 'x' | int(3) }}{{ '1.5' | float }}{{ 3.7 | int }}{{ 65 | string ~ 'a' }}{{ [3, 1, 2] | sort }}{{ ['b', 'A'] | sort }}{{ [1, 1, 2] | unique | list }}",
    "{{ 4 is even }}{{ 3 is odd }}{{ 9 is divisibleby 3 }}{{ 'a' is string }}{{ d is mapping }}{{ list is iterable }}{{ 1 is number }}{{ none is none }}{{ x is undefined and true }}{{ a is eq a }}{{ 'a' is in 'abc' }}",
    "{% raw %}{{ not rendered }}{% endraw %} after", "{{ range(3) | list }}{{ range(5, 1, -2) | list }}{{ dict(a=1) }}{{ 'x' if false }}", "{{ d.missing }}{{ d['k'] }}{{ d.get('zz', 'no') }}{{ d.get('zz') }}",
    "{% if a and not b or c %}1{% elif text %}2{% else %}3{% endif %}", "{% generation %}gen{% endgeneration %}!", "{{ 'Größe ÄÖ' | length }}{{ 'ÄÖ' | lower }}{{ 'Größe'[2] }}{{ 'a\\tb\\u00e9' }}",
    "{{ text.startswith('he') }}{{ text.endswith(('x', 'd')) }}{{ text.find('l') }}{{ text.count('l') }}{{ 'a,b,c'.split(',', 1) }}{{ 'a,b,c'.rsplit(',', 1) }}",
]
VARIABLES = {"a": True, "b": False, "list": [1, 2, 3], "d": {"k": "v", "é": [1, {"n": None}]}, "text": "hello world"}
CONVERSATIONS = [
    [{"role": "user", "content": "hi there"}], [{"role": "system", "content": "be brief"}, {"role": "user", "content": " hi "}],
    [{"role": "query", "content": "what?"}, {"role": "document", "content": "that {{ x }}"}],
    [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nb"}, {"role": "user", "content": "c"}]]


def jinja(root):
    cases = []
    for template in SNIPPETS:
        variables = {**VARIABLES, "messages": CONVERSATIONS[3]}
        cases.append((template, variables))
    for template in (QWEN_RERANKER, CHATML, LLAMA2, QWEN3):
        for messages in CONVERSATIONS:
            for extra in ({}, {"add_generation_prompt": True, "enable_thinking": False}):
                cases.append((template, {"messages": messages, "tools": None, "add_generation_prompt": False, "bos_token": "<s>",
                                         "eos_token": "</s>", **extra}))
    results = []
    for template, variables in cases:
        compiled = _compile_jinja_template(template)
        try:
            results.append({"template": template, "variables": variables, "expected": compiled.render(**variables)})
        except Exception as error:  # the template's own raise_exception
            results.append({"template": template, "variables": variables, "error": type(error).__name__})
    _common.write_json(root / "jinja.json", {"reference": _common.versions(), "cases": results})


USER = "[unused0] {% for m in messages %}{% if m.role == 'system' %}find {{ m.content }} {% else %}{{ m.content }}{% endif %}{% endfor %} [unused1] the end"
STRUCTURED = "{% for m in messages %}{% for part in m.content %}{% if part.type == 'text' %}{{ m.role }}: {{ part.text }} {% endif %}{% endfor %}{% endfor %}[SEP]"
TASKED = "{{ messages[-1].content }}{% if task == 'query' %} what{% elif task %} is it{% endif %}{% if extra is defined %} {{ extra }}{% endif %} end"


def models(maker):
    cases = [{"text": t, **extra} for t in TEXTS[:10] for extra in ({}, {"prompt": "red "}, {"task": "query"}, {"task": "document"})]
    for name, template, kwargs in (("chat_flat", USER, {}), ("chat_structured", STRUCTURED, {}),
                                   ("chat_task", TASKED, {"processing_kwargs": {"chat_template": {"extra": "sea"}}}),
                                   ("chat_no_restore", USER, {"processing_kwargs": {"chat_template": {"restore_suffix": False}}})):
        backbone = maker.scratch / name
        shutil.copytree(maker.backbone, backbone)
        config = json.loads((backbone / "tokenizer_config.json").read_text())
        config["model_max_length"] = 20
        _common.write_json(backbone / "tokenizer_config.json", config)
        (backbone / "chat_template.jinja").write_text(template)
        transformer = maker.transformer(backbone, **kwargs)
        assert "message" in transformer.modality_config
        folder = maker.save(name, [transformer, M.Pooling(HIDDEN, "lasttoken")], prompts={"query": "blue", "document": ""})
        maker.golden(folder, "dense", cases)
    folder = maker.folder("chat_no_modules_json")
    _tiny.bert(folder, seed=31, max_length=24)
    (folder / "chat_template.jinja").write_text(USER)
    _tiny.plain(folder)
    maker.golden(folder, "dense", cases, cls=SentenceTransformer)


def causal_backbone(folder, template=None, **config):
    """A tiny Qwen3 causal language model with a byte-level BPE tokenizer that knows ChatML, yes and no."""
    from tokenizers import AddedToken, Tokenizer, models as tokenizer_models, pre_tokenizers, trainers
    from transformers import Qwen2TokenizerFast, Qwen3Config, Qwen3ForCausalLM
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    inner = Tokenizer(tokenizer_models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    inner.train_from_iterator([*TEXTS, "yes no yes no yes no", QWEN_RERANKER] * 4, trainer)
    model = json.loads(inner.to_str())["model"]
    for word in ("yes", "no"):
        model["vocab"].setdefault(word, len(model["vocab"]))
    tokenizer = Qwen2TokenizerFast(vocab=model["vocab"], merges=[tuple(m) for m in model["merges"]], model_max_length=120)
    tokenizer.add_special_tokens({"additional_special_tokens": [AddedToken(t, normalized=False, special=True) for t in specials[1:]]})
    if template:
        tokenizer.chat_template = template
    sizes = dict(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
                 intermediate_size=24, max_position_embeddings=512, tie_word_embeddings=True)
    network = Qwen3ForCausalLM(Qwen3Config(**{**sizes, **config}))
    _common.randomize(network, 61)
    network.tie_weights()
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def rerankers(maker):
    pairs = [{"text": a, "pair": b, **extra} for a in (TEXTS[0], TEXTS[5], "") for b in (TEXTS[1], TEXTS[4], TEXTS[8], "the sea " * 60)
             for extra in ({}, {"raw": True}, {"prompt": "Find the red one"})]
    from sentence_transformers import CrossEncoder
    folder = maker.folder("reranker_no_modules_json")
    causal_backbone(folder, QWEN_RERANKER)
    maker.golden(folder, "scores", pairs, cls=CrossEncoder, **{"as": "cross-encoder"})
    source = causal_backbone(maker.scratch / "qwen", QWEN_RERANKER)
    folder = maker.folder("reranker_saved")
    CrossEncoder(str(source), device="cpu", prompts={"query": "Is it red?"}, default_prompt_name="query").save_pretrained(
        str(folder), create_model_card=False)
    _tiny.plain(folder)
    maker.golden(folder, "scores", pairs, cls=CrossEncoder)
    plain = causal_backbone(maker.scratch / "plain")
    folder = maker.folder("reranker_without_template")
    shutil.copytree(plain, folder, dirs_exist_ok=True)
    maker.golden(folder, "scores", [c for c in pairs if "prompt" not in c], cls=CrossEncoder, **{"as": "cross-encoder"})


def make(root, model_dir):
    maker = Maker(root)
    jinja(root)
    models(maker)
    rerankers(maker)
