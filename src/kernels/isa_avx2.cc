// The avx2 kernel table.
#if defined(__x86_64__)
#define TV_ISA avx2
#define TV_ISA_NAME "avx2"
#include "kernels/table_avx2-inl.h"
#endif
