//===- WMapAdapterOps.td - Ops of merged adapters ----------*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a low-rank adapter changes of a weight. Included by WMapOps.td.
//
//===----------------------------------------------------------------------===//

#ifndef DIALECT_WMAP_WMAP_ADAPTER_OPS_TD
#define DIALECT_WMAP_WMAP_ADAPTER_OPS_TD

def WMap_LowRankOp : WMap_Transform<"low_rank"> {
  let summary = "scaled product of two factors";
  let description = [{
    result[…, n, k] = scale · Σ_r left[…, n, r] · right[…, r, k], in f32: fused
    multiply-adds in the order of r, then one product with the scale. Matrices with
    leading axes are multiplied one by one. The factors do not come back.

    Source: Hu et al., LoRA (2021), with B as `left` and A as `right`.

    **Constraints:**
    * (C1) operands have the same number of axes, at least two, and the same leading sizes
    * (C2) the last size of `left` is the last but one of `right`
    * (C3) operands are f32, bf16 or f16; the result is f32 in the sizes of the product

    ```mlir
    wmap.func @delta -> tensor<8x4xf32> {
      %b = wmap.source "q_proj.lora_B.weight" : tensor<8x2xf32>
      %a = wmap.source "q_proj.lora_A.weight" : tensor<2x4xf32>
      %0 = wmap.low_rank %b by %a scale 2.0 : (tensor<8x2xf32>, tensor<2x4xf32>) -> tensor<8x4xf32>
      wmap.return %0 : tensor<8x4xf32>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$left, AnyStaticShapeTensor:$right, F64Attr:$scale);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$left `by` $right `scale` $scale attr-dict `:` functional-type(operands, results)";
}

def WMap_AddOp : WMap_Transform<"add", [AllTypesMatch<["input", "result"]>]> {
  let summary = "sum of a weight and what is added to it";
  let description = [{
    result = input + change, computed in f32 and rounded once to the weight's type, as
    PEFT's `merge_and_unload` does. Lossy: neither comes back bit for bit from a rounded
    sum.

    **Constraints:**
    * (C1) elements of `input` are f32, bf16 or f16
    * (C2) `change` is f32 in the same sizes

    ```mlir
    wmap.func @q -> tensor<8x4xbf16> {
      %w = wmap.source "q_proj.weight" : tensor<8x4xbf16>
      %b = wmap.source "q_proj.lora_B.weight" : tensor<8x2xf32>
      %a = wmap.source "q_proj.lora_A.weight" : tensor<2x4xf32>
      %0 = wmap.low_rank %b by %a scale 2.0 : (tensor<8x2xf32>, tensor<2x4xf32>) -> tensor<8x4xf32>
      %1 = wmap.add %w plus %0 : tensor<8x4xbf16>, tensor<8x4xf32>
      wmap.return %1 : tensor<8x4xbf16>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input, AnyStaticShapeTensor:$change);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input `plus` $change attr-dict `:` type($input) `,` type($change)";
}

#endif // DIALECT_WMAP_WMAP_ADAPTER_OPS_TD
