// exp, expm1, log and log1p in double with the same bits on every machine: plain additions, multiplications and
// divisions only (libm picks code by CPU, which breaks that). Errors are below 2 units in the last place of a double,
// far below float32's. Algorithms: fdlibm (Sun, 1993): e_exp.c, s_expm1.c, e_log.c, s_log1p.c; freely usable.
#ifndef TRUEVEC_PIPELINE_EXACT_MATH_H_
#define TRUEVEC_PIPELINE_EXACT_MATH_H_

namespace truevec::exact {

double Exp(double x);
double Expm1(double x);
double Log(double x);    // x > 0
double Log1p(double x);  // x > -1

}  // namespace truevec::exact

#endif  // TRUEVEC_PIPELINE_EXACT_MATH_H_
