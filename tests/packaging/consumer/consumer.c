// The smallest C program that uses the library: start it, make and free one async context, stop it.
#include <ktlsim/sspi_ext.h>
#include <sspi.h>
#include <stddef.h>
#include <stdio.h>

int main(void) {
  const SECURITY_STATUS started = KtlsimStart(NULL);
  if (started != SEC_E_OK) {
    fprintf(stderr, "KtlsimStart: 0x%08x\n", (unsigned)started);
    return 1;
  }
  SspiAsyncContext* context = SspiCreateAsyncContext();
  if (context == NULL) {
    fprintf(stderr, "SspiCreateAsyncContext: no context\n");
    return 1;
  }
  SspiFreeAsyncContext(context);
  return KtlsimStop() == SEC_E_OK ? 0 : 1;
}
