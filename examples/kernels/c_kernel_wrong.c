/* The twin of c_kernel.c with one mistake: it stores one running variance more than there are channels. Its header is c_kernel.h. */
#include <math.h>

int batch_norm(const float *x, const float *gamma, const float *beta, float *running_mean, float *running_var, float *y,
               int n, int c, int hw, float eps, float momentum, int training) {
    const long m = (long)n * hw;
    if (training && m == 0) return 1;
    for (int k = 0; k < c; k++) {
        double mean = running_mean[k], var = running_var[k];
        if (training) {
            double sum = 0, squares = 0;
            for (long i = 0; i < m; i++) sum += x[(i / hw * c + k) * hw + i % hw];
            mean = sum / m;
            for (long i = 0; i < m; i++) {
                const double d = x[(i / hw * c + k) * hw + i % hw] - mean;
                squares += d * d;
            }
            var = squares / m;
            running_mean[k] = (1 - (double)momentum) * running_mean[k] + momentum * mean;
            running_var[k] = (1 - (double)momentum) * running_var[k] + momentum * var;
            if (k == c - 1) running_var[c] = 1;
        }
        const double scale = gamma[k] / sqrt(var + eps);
        for (long i = 0; i < m; i++) {
            const long at = (i / hw * c + k) * hw + i % hw;
            y[at] = (float)((x[at] - mean) * scale + beta[k]);
        }
    }
    return 0;
}
