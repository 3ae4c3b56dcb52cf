/* The C ABI from C: load, embed, options, errors. Argument: a model directory (tests/golden/bert/model). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "truevec/truevec_c.h"

static int failures = 0;

#define EXPECT(condition)                                                                         \
  do {                                                                                            \
    if (!(condition)) {                                                                           \
      fprintf(stderr, "line %d: %s is false (%s)\n", __LINE__, #condition, truevec_last_error()); \
      ++failures;                                                                                 \
    }                                                                                             \
  } while (0)

static void test_embed(const truevec_model* model) {
  const char* texts[] = {"hello world", "hello world", "other"};
  const size_t lengths[] = {11, 11, 5};
  const size_t n = truevec_dimension(model);
  float* out = malloc(3 * n * sizeof(float));
  double dot = 0, norm = 0, other = 0;
  size_t i;
  EXPECT(n > 0 && truevec_embed(model, texts, lengths, 3, "{\"normalize\":true}", out) == 0);
  for (i = 0; i < n; ++i) {
    dot += (double)out[i] * out[n + i];
    norm += (double)out[i] * out[i];
    other += (double)out[i] * out[2 * n + i];
  }
  EXPECT(fabs(norm - 1) < 1e-6 && fabs(dot - norm) < 1e-12 && other < 0.999999);
  EXPECT(truevec_embed(model, texts, lengths, 1, "{\"truncate_dim\":4}", out) == 0);
  EXPECT(truevec_embed(model, texts, lengths, 1, "{\"truncate_dim\":0}", out) == 2);
  EXPECT(truevec_embed(model, texts, lengths, 1, "{\"colour\":1}", out) == 2);
  EXPECT(strstr(truevec_last_error(), "colour") != NULL);
  EXPECT(truevec_embed(model, texts, lengths, 0, NULL, out) == 0);
  {
    const char* bad[] = {"\xff"};
    const size_t one[] = {1};
    EXPECT(truevec_embed(model, bad, one, 1, NULL, out) == 4);
    EXPECT(strstr(truevec_last_error(), "UTF-8") != NULL);
  }
  free(out);
}

int main(int argc, char** argv) {
  truevec_model* model;
  char* json = NULL;
  if (argc != 2) return 2;
  EXPECT(strlen(truevec_version()) > 0);
  EXPECT(truevec_load("/no/such/model", NULL) == NULL && strlen(truevec_last_error()) > 0);
  EXPECT(truevec_load(argv[1], "{\"threads\":\"two\"}") == NULL);
  model = truevec_load(argv[1], "{\"threads\":2}");
  EXPECT(model != NULL);
  if (model == NULL) return 1;
  test_embed(model);
  EXPECT(truevec_inspect(model, &json) == 0 && strstr(json, "truevec.inspect/1") != NULL);
  truevec_free_string(json);
  EXPECT(truevec_tokenize(model, "hello", 5, NULL, &json) == 0 && strstr(json, "\"ids\"") != NULL);
  truevec_free_string(json);
  truevec_free(model);
  truevec_free(NULL);
  if (failures == 0) printf("ok\n");
  return failures == 0 ? 0 : 1;
}
