// RUN: clade-opt --split-input-file --verify-diagnostics %s

func.func @param_c1_no_function() {
  // expected-error@+1 {{expected '@w' to name a wmap.func}}
  %0 = clade.param @w : !clade.tensor<[d = 8], f32>
  return
}

// -----

wmap.func @w -> tensor<8xf32> {
  %0 = wmap.source "w" : tensor<8xf32>
  wmap.return %0 : tensor<8xf32>
}
func.func @param_c2_element_type() {
  // expected-error@+1 {{expected element type 'bf16', got 'tensor<8xf32>' from '@w'}}
  %0 = clade.param @w : !clade.tensor<[d = 8], bf16>
  return
}

// -----

wmap.func @w -> tensor<8xf32> {
  %0 = wmap.source "w" : tensor<8xf32>
  wmap.return %0 : tensor<8xf32>
}
func.func @param_c2_elements() {
  // expected-error@+1 {{expected 9 elements for '!clade.tensor<[d = 9], f32>', got 'tensor<8xf32>' from '@w'}}
  %0 = clade.param @w : !clade.tensor<[d = 9], f32>
  return
}

// -----

wmap.func @w -> tensor<8x8xf32> {
  %0 = wmap.source "w" : tensor<8x8xf32>
  wmap.return %0 : tensor<8x8xf32>
}
func.func @param_c2_packed_elements() {
  // expected-error@+1 {{expected 256 elements for}}
  %0 = clade.param @w : !clade.tensor<[o = 8, i = 8], f32, #clade.panels<rows = 32, inner = 2>>
  return
}

// -----

wmap.func @w -> tensor<8xf32> {
  %0 = wmap.source "w" : tensor<8xf32>
  wmap.return %0 : tensor<8xf32>
}
func.func @param_c2_unknown_size() {
  // expected-error@+1 {{expected a size for each axis, got '!clade.tensor<[d], f32>'}}
  %0 = clade.param @w : !clade.tensor<[d], f32>
  return
}

// -----

func.func @stack_rows_c1_vector(%a: !clade.tensor<[o = 8], f32>) {
  // expected-error@+1 {{expected matrices of the same columns and element type without a layout, got '!clade.tensor<[o = 8], f32>' and '!clade.tensor<[o = 8, i = 1], f32>'}}
  %0 = clade.stack_rows %a : (!clade.tensor<[o = 8], f32>) -> !clade.tensor<[o = 8, i = 1], f32>
  return
}

// -----

func.func @stack_rows_c1_element_type(%a: !clade.tensor<[o = 8, i = 2], bf16>) {
  // expected-error@+1 {{expected matrices of the same columns and element type without a layout}}
  %0 = clade.stack_rows %a : (!clade.tensor<[o = 8, i = 2], bf16>) -> !clade.tensor<[o = 8, i = 2], f32>
  return
}

// -----

func.func @stack_rows_c2(%a: !clade.tensor<[o = 8, i = 2], f32>, %b: !clade.tensor<[o = 8, i = 3], f32>) {
  // expected-error@+1 {{expected matrices of the same columns and element type without a layout}}
  %0 = clade.stack_rows %a, %b : (!clade.tensor<[o = 8, i = 2], f32>, !clade.tensor<[o = 8, i = 3], f32>) -> !clade.tensor<[o = 16, i = 2], f32>
  return
}

// -----

func.func @stack_rows_c3(%a: !clade.tensor<[o = 8, i = 2], f32>, %b: !clade.tensor<[o = 5, i = 2], f32>) {
  // expected-error@+1 {{expected 13 rows, got '!clade.tensor<[o = 16, i = 2], f32>'}}
  %0 = clade.stack_rows %a, %b : (!clade.tensor<[o = 8, i = 2], f32>, !clade.tensor<[o = 5, i = 2], f32>) -> !clade.tensor<[o = 16, i = 2], f32>
  return
}

// -----

func.func @constant_c1() {
  // expected-error@+1 {{expected a result without axes, got '!clade.tensor<[d = 2], f32>'}}
  %0 = clade.constant 1.0 : !clade.tensor<[d = 2], f32>
  return
}

// -----

// schedule_c1
// expected-error@+1 {{expected '@kind' to name a function}}
clade.schedule @layers kinds [@kind] rows [0]

// -----

// schedule_c2
func.func private @kind()
// expected-error@+1 {{expected row 1 to be the index of one of 1 kinds, got 1}}
clade.schedule @layers kinds [@kind] rows [0, 1]

// -----

// schedule_c2
func.func private @kind()
// expected-error@+1 {{expected row 0 to be the index of one of 1 kinds, got -1}}
clade.schedule @layers kinds [@kind] rows [-1]

// -----

// schedule_c3
func.func private @local()
func.func private @global(!clade.batch)
// expected-error@+1 {{expected kind '@global' to have type '() -> ()', got '(!clade.batch) -> ()'}}
clade.schedule @layers kinds [@local, @global] rows [0, 1]

// -----

func.func @layers_c1(%x: !clade.tensor<[token], f32>) {
  // expected-error@+1 {{expected '@layers' to name a clade.schedule}}
  %0 = clade.layers @layers(%x) : (!clade.tensor<[token], f32>) -> !clade.tensor<[token], f32>
  return
}

// -----

func.func private @kind(!clade.tensor<[token], f32>) -> !clade.tensor<[token], f32>
clade.schedule @layers kinds [@kind] rows [0]
func.func @layers_c2(%x: !clade.tensor<[token], bf16>) {
  // expected-error@+1 {{expected operands and results of the type of '@kind', '(!clade.tensor<[token], f32>) -> !clade.tensor<[token], f32>'}}
  %0 = clade.layers @layers(%x) : (!clade.tensor<[token], bf16>) -> !clade.tensor<[token], bf16>
  return
}

// -----

func.func private @kind(!clade.tensor<[token], f32>) -> !clade.tensor<[token], f32>
clade.schedule @layers kinds [@kind] rows [0]
func.func @layers_c3(%x: !clade.tensor<[token], f32>) {
  // expected-error@+1 {{expected the first operands to have the types of the results}}
  %0 = clade.layers @layers(%x) : (!clade.tensor<[token], f32>) -> !clade.tensor<[token], bf16>
  return
}

// -----

func.func @kernel_c1(%x: !clade.tensor<[token], f32>) {
  // expected-error@+1 {{expected block arguments of the operands' types}}
  clade.kernel tokenwise (%x) : (!clade.tensor<[token], f32>) -> () {
  ^bb0(%a: !clade.tensor<[token], bf16>):
    clade.yield
  }
  return
}

// -----

func.func @kernel_c2(%x: !clade.tensor<[token], f32>) {
  // expected-error@+1 {{expected a clade.yield of the results' types}}
  %0 = clade.kernel tokenwise (%x) : (!clade.tensor<[token], f32>) -> !clade.tensor<[token], bf16> {
  ^bb0(%a: !clade.tensor<[token], f32>):
    clade.yield %a : !clade.tensor<[token], f32>
  }
  return
}

// -----

func.func @kernel_c3_no_product(%x: !clade.tensor<[token], f32>) {
  // expected-error@+1 {{expected 1 clade.linear in a kernel of kind 'product', got 0}}
  clade.kernel product (%x) : (!clade.tensor<[token], f32>) -> () {
  ^bb0(%a: !clade.tensor<[token], f32>):
    clade.yield
  }
  return
}

// -----

func.func @kernel_c3_product_in_tokenwise(%x: !clade.tensor<[token], f32>) {
  // expected-error@+1 {{expected 0 clade.linear in a kernel of kind 'tokenwise', got 1}}
  clade.kernel tokenwise (%x) : (!clade.tensor<[token], f32>) -> () {
  ^bb0(%a: !clade.tensor<[token], f32>):
    %w = clade.constant 1.0 : !clade.tensor<[], f32>
    %0 = clade.linear %a, %w : !clade.tensor<[token], f32>, !clade.tensor<[], f32> -> !clade.tensor<[token], f32>
    clade.yield
  }
  return
}

// -----

func.func @kernel_c4_no_attention() {
  // expected-error@+1 {{expected 1 clade.attend_cached in a kernel of kind 'attention', got 0}}
  clade.kernel attention () : () -> () {
    clade.yield
  }
  return
}

// -----

func.func @kernel_isolated(%x: !clade.tensor<[token], f32>) {
  // expected-note@+1 {{required by region isolation constraints}}
  %0 = clade.kernel tokenwise () : () -> !clade.tensor<[token], f32> {
    // expected-error@+1 {{using value defined outside the region}}
    clade.yield %x : !clade.tensor<[token], f32>
  }
  return
}

// -----

func.func @yield_outside() {
  // expected-error@+1 {{expects parent op to be one of 'clade.kernel, clade.scan'}}
  clade.yield
}

// -----

wmap.func @w -> tensor<1x1x544xui8> {
  %0 = wmap.source "w" : tensor<1x1x544xui8>
  wmap.return %0 : tensor<1x1x544xui8>
}
func.func @param_c2_blocks() {
  // expected-error@+1 {{expected 1088 elements for '!clade.tensor<[o = 20, i = 32], f32, #clade.blocks<format = "q8_0", rows = 16>>', got 'tensor<1x1x544xui8>' from '@w'}}
  %0 = clade.param @w : !clade.tensor<[o = 20, i = 32], f32, #clade.blocks<format = "q8_0", rows = 16>>
  return
}
