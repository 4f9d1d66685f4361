// OpenBLAS' float32 product for the shapes of count_instructions.cc, between the same marks, which
// qemu_counter.c reads. count-openblas.sh builds and runs it.
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

// As OpenBLAS' PyPI package declares them.
enum { kRowMajor = 101, kNoTranspose = 111, kTranspose = 112 };
void scipy_cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k,
                       float alpha, const float* a, int lda, const float* b, int ldb, float beta,
                       float* c, int ldc);
const char* scipy_openblas_get_corename(void);

static float* ramp(int count) {
  float* values = malloc(sizeof(float) * (size_t)count);
  for (int i = 0; i < count; ++i) values[i] = (float)(i % 97) / 97.0F - 0.5F;
  return values;
}

static void mark(size_t number) { syscall(SYS_write, 1000000, NULL, number); }

int main(void) {
  // y [rows, out] = x [rows, in] · weight [out, in]ᵀ
  const int shapes[][3] = {{1024, 16, 1152}, {120, 512, 1152}, {120, 1152, 1152}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; ++i) {
    const int rows = shapes[i][0], in = shapes[i][1], out = shapes[i][2];
    float *x = ramp(rows * in), *weight = ramp(out * in), *y = ramp(rows * out);
    for (int run = 0; run < 2; ++run) {  // the first one makes OpenBLAS' own buffers
      mark(0);
      scipy_cblas_sgemm(kRowMajor, kNoTranspose, kTranspose, rows, out, in, 1.0F, x, in, weight, in,
                        0.0F, y, out);
      if (run == 1) mark(i + 1);
    }
    printf("%d %d %d\n", rows, in, out);
    free(x);
    free(weight);
    free(y);
  }
  printf("%s\n", scipy_openblas_get_corename());
  return 0;
}
