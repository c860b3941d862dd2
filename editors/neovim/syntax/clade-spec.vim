" Colours of Clade's specs: what editors/vscode/syntaxes tells apart.
if exists("b:current_syntax")
  finish
endif
syntax keyword cladeDeclaration family block entry config weights serves reference use from with
syntax keyword cladeDeclaration require ignore drop
syntax keyword cladeControl if else match for scan carry return emit as where
syntax keyword cladeWord and or not in divides
syntax keyword cladeConstant true false none inf layer token position last causal everything
syntax keyword cladeConstant halves adjacent
syntax match cladeNumber "\<\d\+\(\.\d\+\)\?\([eE][+-]\?\d\+\)\?\>"
syntax match cladeCall "\<\h\w*\ze("
syntax match cladeName "\(\<\(family\|block\|entry\)\s\+\)\@<=\h\w*"
syntax match cladeAddress "\(\<at\s\+\)\@<=[A-Za-z0-9_./]\+"
syntax match cladeControl "\<at\>"
syntax region cladeString start=+"+ end=+"+ oneline
syntax match cladeComment "//.*$"
highlight default link cladeDeclaration Keyword
highlight default link cladeControl Statement
highlight default link cladeWord Operator
highlight default link cladeConstant Constant
highlight default link cladeNumber Number
highlight default link cladeCall Function
highlight default link cladeName Type
highlight default link cladeAddress Identifier
highlight default link cladeString String
highlight default link cladeComment Comment
let b:current_syntax = "clade-spec"
