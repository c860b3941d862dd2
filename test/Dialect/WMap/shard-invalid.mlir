// RUN: clade-opt --split-input-file --verify-diagnostics %s

wmap.func @shard_c1 -> tensor<4xf32> {
  %0 = wmap.source "w" : tensor<8xf32>
  // expected-error @below {{expected an axis of 'tensor<8xf32>', got 1}}
  %1 = wmap.shard %0 axis 1 part 0 of 2 : tensor<8xf32> -> tensor<4xf32>
  wmap.return %1 : tensor<4xf32>
}

// -----
wmap.func @shard_c2 -> tensor<2xf32> {
  %0 = wmap.source "w" : tensor<8xf32>
  // expected-error @below {{expected one of equal parts of axis 0 of 'tensor<8xf32>', got part 0 of 3}}
  %1 = wmap.shard %0 axis 0 part 0 of 3 : tensor<8xf32> -> tensor<2xf32>
  wmap.return %1 : tensor<2xf32>
}

// -----
wmap.func @shard_c2 -> tensor<4xf32> {
  %0 = wmap.source "w" : tensor<8xf32>
  // expected-error @below {{got part 2 of 2}}
  %1 = wmap.shard %0 axis 0 part 2 of 2 : tensor<8xf32> -> tensor<4xf32>
  wmap.return %1 : tensor<4xf32>
}

// -----
wmap.func @shard_c3 -> tensor<2xf32> {
  %0 = wmap.source "w" : tensor<8xf32>
  // expected-error @below {{expected the part to be 'tensor<4xf32>', got 'tensor<2xf32>'}}
  %1 = wmap.shard %0 axis 0 part 0 of 2 : tensor<8xf32> -> tensor<2xf32>
  wmap.return %1 : tensor<2xf32>
}
