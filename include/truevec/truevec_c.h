/* truevec's C ABI. Stable: functions are added, never changed. No exceptions cross it, nothing is printed, the
 * environment is not read. A model is const and may be used from many threads at once. Strings are UTF-8.
 * Codes are those of the command line: 0 ok, 2 usage, 3 model refused, 4 bad input, 5 endpoint, 6 resource. */
#ifndef TRUEVEC_TRUEVEC_C_H_
#define TRUEVEC_TRUEVEC_C_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct truevec_model truevec_model;

/* "0.1.0"; static. */
const char* truevec_version(void);
/* The last error of this thread, until its next call; "" when there was none. */
const char* truevec_last_error(void);
/* path: a model directory. options_json: NULL or
 * {"dtype":"float32","threads":2,"as":"dense","override":{"pooling":"cls"}}. NULL back = error. */
truevec_model* truevec_load(const char* path, const char* options_json);
void truevec_free(truevec_model* model); /* NULL is fine */
/* Floats per vector, before truncate_dim. */
size_t truevec_dimension(const truevec_model* model);
/* n texts of lengths[i] bytes -> out[n * dimension], row-major, order kept; with truncate_dim, rows are that wide.
 * options_json: NULL or {"prompt":S,"prompt_name":S,"task":"query","normalize":true,"truncate_dim":128,
 * "max_length":N}. 0, or an error code. */
int truevec_embed(const truevec_model* model, const char* const* texts, const size_t* lengths, size_t n,
                  const char* options_json, float* out);
/* Every setting with its source, as `truevec inspect --json` prints it. Free *json with truevec_free_string. */
int truevec_inspect(const truevec_model* model, char** json);
/* How the model is fed: {"ids","tokens","offsets","type_ids","special_tokens_mask"}. options_json as truevec_embed's.
 */
int truevec_tokenize(const truevec_model* model, const char* text, size_t length, const char* options_json,
                     char** json);
void truevec_free_string(char* string);

#ifdef __cplusplus
}
#endif

#endif /* TRUEVEC_TRUEVEC_C_H_ */
