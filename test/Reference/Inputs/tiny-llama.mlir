// A pre-norm decoder: three layers of two kinds, grouped-query attention with a
// window in one kind, rotary embedding, gated MLP, tied head.
!ids = !clade.tensor<[token], i32>
!x = !clade.tensor<[token, d = 8], bf16>
!xf = !clade.tensor<[token, d = 8], f32>
!one = !clade.tensor<[token], f32>
!scalar = !clade.tensor<[], f32>
!gain = !clade.tensor<[d = 8], bf16>
!table = !clade.tensor<[vocab = 16, d = 8], bf16>
!q = !clade.tensor<[token, q_heads = 2, head = 4], bf16>
!k = !clade.tensor<[token, kv_heads = 1, head = 4], bf16>
!wq = !clade.tensor<[q_heads = 2, head = 4, d = 8], bf16>
!wk = !clade.tensor<[kv_heads = 1, head = 4, d = 8], bf16>
!wo = !clade.tensor<[d = 8, q_heads = 2, head = 4], bf16>
!rot = !clade.tensor<[token, rotary = 2], bf16>
!ffn = !clade.tensor<[token, ffn = 12], bf16>
!wup = !clade.tensor<[ffn = 12, d = 8], bf16>
!wdown = !clade.tensor<[d = 8, ffn = 12], bf16>

wmap.func @embed -> tensor<16x8xbf16> {
  %0 = wmap.source "embed.weight" : tensor<16x8xbf16>
  wmap.return %0 : tensor<16x8xbf16>
}
wmap.func @norm -> tensor<8xbf16> {
  %0 = wmap.source "norm.weight" : tensor<8xbf16>
  wmap.return %0 : tensor<8xbf16>
}
wmap.func @layer.norm -> tensor<8xbf16> {
  %0 = wmap.source "layers.{layer}.norm.weight" : tensor<8xbf16>
  wmap.return %0 : tensor<8xbf16>
}
wmap.func @layer.q -> tensor<8x8xbf16> {
  %0 = wmap.source "layers.{layer}.q.weight" : tensor<8x8xbf16>
  wmap.return %0 : tensor<8x8xbf16>
}
wmap.func @layer.k -> tensor<4x8xbf16> {
  %0 = wmap.source "layers.{layer}.kv.weight" : tensor<8x8xbf16>
  %1 = wmap.slice %0 axis 0 from 0 : tensor<8x8xbf16> -> tensor<4x8xbf16>
  wmap.return %1 : tensor<4x8xbf16>
}
wmap.func @layer.v -> tensor<4x8xbf16> {
  %0 = wmap.source "layers.{layer}.kv.weight" : tensor<8x8xbf16>
  %1 = wmap.slice %0 axis 0 from 4 : tensor<8x8xbf16> -> tensor<4x8xbf16>
  wmap.return %1 : tensor<4x8xbf16>
}
wmap.func @layer.o -> tensor<8x8xbf16> {
  %0 = wmap.source "layers.{layer}.o.weight" : tensor<8x8xbf16>
  wmap.return %0 : tensor<8x8xbf16>
}
wmap.func @layer.gate -> tensor<12x8xbf16> {
  %0 = wmap.source "layers.{layer}.gate.weight" : tensor<12x8xbf16>
  wmap.return %0 : tensor<12x8xbf16>
}
wmap.func @layer.up -> tensor<12x8xbf16> {
  %0 = wmap.source "layers.{layer}.up.weight" : tensor<12x8xbf16>
  wmap.return %0 : tensor<12x8xbf16>
}
wmap.func @layer.down -> tensor<8x12xbf16> {
  %0 = wmap.source "layers.{layer}.down.weight" : tensor<8x12xbf16>
  wmap.return %0 : tensor<8x12xbf16>
}

func.func @local(%x: !x, %cos: !rot, %sin: !rot, %batch: !clade.batch) -> !x {
  %eps = clade.constant 1.0e-6 : !scalar
  %gain = clade.param @layer.norm : !gain
  %xf = clade.cast %x : !x -> !xf
  %square = clade.binary mul %xf, %xf : !xf, !xf -> !xf
  %mean = clade.reduce mean %square over ["d"] : !xf -> !one
  %shifted = clade.binary add %mean, %eps : !one, !scalar -> !one
  %inverse = clade.unary rsqrt %shifted : !one -> !one
  %unit = clade.binary mul %xf, %inverse : !xf, !one -> !xf
  %rounded = clade.cast %unit : !xf -> !x
  %normed = clade.binary mul %gain, %rounded : !gain, !x -> !x
  %wq = clade.param @layer.q : !wq
  %wk = clade.param @layer.k : !wk
  %wv = clade.param @layer.v : !wk
  %q = clade.linear %normed, %wq : !x, !wq -> !q
  %k = clade.linear %normed, %wk : !x, !wk -> !k
  %v = clade.linear %normed, %wv : !x, !wk -> !k
  %qr = clade.rope halves %q, %cos, %sin : !q, !rot
  %kr = clade.rope halves %k, %cos, %sin : !k, !rot
  %a = clade.attend %qr, %kr, %v, %batch state 0 scale 0.5 {window = 3 : i64} : (!q, !k, !k) -> !q
  %wo = clade.param @layer.o : !wo
  %o = clade.linear %a, %wo : !q, !wo -> !x
  %y = clade.binary add %x, %o : !x, !x -> !x
  return %y : !x
}

func.func @global(%x: !x, %cos: !rot, %sin: !rot, %batch: !clade.batch) -> !x {
  %wq = clade.param @layer.q : !wq
  %wk = clade.param @layer.k : !wk
  %wv = clade.param @layer.v : !wk
  %q = clade.linear %x, %wq : !x, !wq -> !q
  %k = clade.linear %x, %wk : !x, !wk -> !k
  %v = clade.linear %x, %wv : !x, !wk -> !k
  %qr = clade.rope halves %q, %cos, %sin : !q, !rot
  %kr = clade.rope halves %k, %cos, %sin : !k, !rot
  %a = clade.attend %qr, %kr, %v, %batch state 0 scale 0.5 : (!q, !k, !k) -> !q
  %wo = clade.param @layer.o : !wo
  %o = clade.linear %a, %wo : !q, !wo -> !x
  %h = clade.binary add %x, %o : !x, !x -> !x
  %wgate = clade.param @layer.gate : !wup
  %wup = clade.param @layer.up : !wup
  %wdown = clade.param @layer.down : !wdown
  %gate = clade.linear %h, %wgate : !x, !wup -> !ffn
  %up = clade.linear %h, %wup : !x, !wup -> !ffn
  %act = clade.unary silu %gate : !ffn -> !ffn
  %both = clade.binary mul %act, %up : !ffn, !ffn -> !ffn
  %down = clade.linear %both, %wdown : !ffn, !wdown -> !x
  %y = clade.binary add %h, %down : !x, !x -> !x
  return %y : !x
}

clade.schedule @layers kinds [@local, @global] rows [0, 1, 0]

func.func @forward(%ids: !ids, %batch: !clade.batch) -> !clade.tensor<[selected, vocab = 16], f32> attributes {clade.entry} {
  %table = clade.param @embed : !table
  %x = clade.embed %ids, %table : !ids, !table -> !x
  %p = clade.positions %batch : !ids
  %cos, %sin = clade.rotary_table %p, %batch frequencies [1.0, 0.1] scale 1.0 : !ids -> !rot
  %h = clade.layers @layers(%x, %cos, %sin, %batch) : (!x, !rot, !rot, !clade.batch) -> !x
  %s = clade.select %h, %batch : !x -> !clade.tensor<[selected, d = 8], bf16>
  %gain = clade.param @norm : !gain
  %n = clade.binary mul %gain, %s : !gain, !clade.tensor<[selected, d = 8], bf16> -> !clade.tensor<[selected, d = 8], bf16>
  %y = clade.linear %n, %table : !clade.tensor<[selected, d = 8], bf16>, !table -> !clade.tensor<[selected, vocab = 16], f32>
  return %y : !clade.tensor<[selected, vocab = 16], f32>
}
