// The avx512_amx kernel table: avx512_vnni, with matrix products of bfloat16 and int8 on AMX tiles.
#if defined(__x86_64__)
#define TV_VNNI
#define TV_BF16
#define TV_AMX
#define TV_ISA avx512_amx
#define TV_ISA_NAME "avx512_amx"
#include "kernels/table_avx512-inl.h"
#endif
