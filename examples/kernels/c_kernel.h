/* What bnspec judge reads beside c_kernel.so: x is n samples of c channels of hw positions; the result is 0 where all went well. */
int batch_norm(const float *x, const float *gamma, const float *beta, float *running_mean, float *running_var, float *y,
               int n, int c, int hw, float eps, float momentum, int training);
