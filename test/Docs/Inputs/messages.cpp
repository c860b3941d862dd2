// Messages as sources have them. error(loc, "not this one, in a comment");
void Parser::error(int loc, const char *text) { print("nor the function itself"); }
void f(int n, const char *name) {
  error(n, "an indexed message about ") << n << ", which";
  if (n)
    return fail("one that explains itself, got " + name);
  emitError(loc) << "a new message "
                    "of '"
                 << name << "' in two pieces";
  fail(name);
  print("no report");
}
