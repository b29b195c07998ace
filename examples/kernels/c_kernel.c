/* cc -O2 -shared -fPIC c_kernel.c -o c_kernel.so -lm && bnspec judge c_kernel.so */
#include <math.h>

int batch_norm(const float *x, const float *gamma, const float *beta, float *running_mean, float *running_var, float *y,
               int n, int c, int hw, float eps, float momentum, int training) {
    const long m = (long)n * hw;
    if (training && m == 0) return 1; /* an empty batch has no statistics */
    for (int k = 0; k < c; k++) {
        double mean = running_mean[k], var = running_var[k];
        if (training) {
            double sum = 0, squares = 0;
            for (int i = 0; i < n; i++)
                for (int j = 0; j < hw; j++) sum += x[((long)i * c + k) * hw + j];
            mean = sum / m;
            for (int i = 0; i < n; i++)
                for (int j = 0; j < hw; j++) {
                    const double d = x[((long)i * c + k) * hw + j] - mean;
                    squares += d * d;
                }
            var = squares / m;
            running_mean[k] = (1 - (double)momentum) * running_mean[k] + momentum * mean;
            running_var[k] = (1 - (double)momentum) * running_var[k] + momentum * var;
        }
        const double scale = gamma[k] / sqrt(var + eps);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < hw; j++) {
                const long at = ((long)i * c + k) * hw + j;
                y[at] = (float)((x[at] - mean) * scale + beta[k]);
            }
    }
    return 0;
}
