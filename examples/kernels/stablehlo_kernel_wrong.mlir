// The twin of stablehlo_kernel.mlir with one mistake: gamma and beta are exchanged.
module @batch_norm {
  func.func public @main(%x: tensor<4x3x5xf32>, %gamma: tensor<3xf32>, %beta: tensor<3xf32>, %mean: tensor<3xf32>, %var: tensor<3xf32>) -> tensor<4x3x5xf32> {
    %y = "stablehlo.batch_norm_inference"(%x, %beta, %gamma, %mean, %var) {epsilon = 1.0e-3 : f32, feature_index = 1 : i64} : (tensor<4x3x5xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<4x3x5xf32>
    return %y : tensor<4x3x5xf32>
  }
}
