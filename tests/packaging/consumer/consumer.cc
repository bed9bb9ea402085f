// The same in C++: the headers serve both languages. The smallest program that uses the library:
// start it, make and free one async context, stop it.
#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <cstdio>

int main() {
  const SECURITY_STATUS started = KtlsimStart(nullptr);
  if (started != SEC_E_OK) {
    std::fprintf(stderr, "KtlsimStart: 0x%08x\n", static_cast<unsigned>(started));
    return 1;
  }
  SspiAsyncContext* context = SspiCreateAsyncContext();
  if (context == nullptr) {
    std::fprintf(stderr, "SspiCreateAsyncContext: no context\n");
    return 1;
  }
  SspiFreeAsyncContext(context);
  return KtlsimStop() == SEC_E_OK ? 0 : 1;
}
