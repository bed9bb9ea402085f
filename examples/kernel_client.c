// A TLS handshake as a Windows driver makes it: kernel-mode signatures, counted strings, no strings
// of bytes.
//   cc kernel_client.c $(pkg-config --cflags --libs ktlsim) -o kernel_client
//   ./kernel_client 127.0.0.1 8443 certificate.pem        (the server must be "localhost")
// SECURITY_KERNEL before the first include chooses them. A driver would send and receive with WSK;
// here is a socket. Callbacks run at passive level on a thread of the library.
#define SECURITY_KERNEL
#include <arpa/inet.h>
#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <semaphore.h>
#include <sspi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uchar.h>
#include <unistd.h>

// As RtlInitUnicodeString: a view, with lengths in bytes.
#define COUNTED(text) {sizeof(text) - sizeof(char16_t), sizeof(text), (text)}
static char16_t package_text[] = u"Microsoft Unified Security Protocol Provider";
static char16_t target_text[] = u"localhost";

static sem_t finished;

static void Notify(SspiAsyncContext* async, PVOID data) {
  (void)async;
  sem_post(data);
}

// One leg: queued at once, waited for here. A driver would go on in the callback.
static SECURITY_STATUS Leg(SspiAsyncContext* async, CredHandle* credential, CtxtHandle* context,
                           int first, SecBufferDesc* input, SecBufferDesc* output) {
  SECURITY_STRING target = COUNTED(target_text);
  ULONG attributes = 0;
  SspiReinitAsyncContext(async);
  const SECURITY_STATUS queued = SspiInitializeSecurityContextAsyncW(
      async, credential, first ? NULL : context, first ? &target : NULL,
      ISC_REQ_STREAM | ISC_REQ_EXTENDED_ERROR, 0, SECURITY_NATIVE_DREP, first ? NULL : input, 0,
      context, output, &attributes, NULL);
  if (queued != SEC_E_OK) return queued;
  sem_wait(&finished);
  return SspiGetAsyncCallStatus(async);
}

static SECURITY_STATUS Handshake(int peer, CredHandle* credential, CtxtHandle* context) {
  static unsigned char inbox[40000], token[20000];
  ULONG count = 0;
  SspiAsyncContext* const async = SspiCreateAsyncContext();
  SspiSetAsyncNotifyCallback(async, Notify, &finished);
  SECURITY_STATUS status = SEC_I_CONTINUE_NEEDED;
  for (int first = 1; status == SEC_I_CONTINUE_NEEDED || status == SEC_E_INCOMPLETE_MESSAGE;
       first = 0) {
    if (!first) {
      const ssize_t got = recv(peer, inbox + count, sizeof(inbox) - count, 0);
      if (got <= 0) break;
      count += (ULONG)got;
    }
    do {
      SecBuffer in[2] = {{count, SECBUFFER_TOKEN, inbox}, {0, SECBUFFER_EMPTY, NULL}};
      SecBuffer out = {sizeof(token), SECBUFFER_TOKEN, token};
      SecBufferDesc input = {SECBUFFER_VERSION, 2, in}, output = {SECBUFFER_VERSION, 1, &out};
      status = Leg(async, credential, context, first, &input, &output);
      if (status == SEC_E_INCOMPLETE_MESSAGE) break;
      const ULONG rest = in[1].BufferType == SECBUFFER_EXTRA ? in[1].cbBuffer : 0;
      if (!first) {
        memmove(inbox, inbox + count - rest, rest);
        count = rest;
      }
      // Whatever the status: with an error it is the alert.
      if (out.cbBuffer > 0) send(peer, token, out.cbBuffer, MSG_NOSIGNAL);
    } while (status == SEC_I_CONTINUE_NEEDED && count > 0);
  }
  SspiFreeAsyncContext(async);
  return status;
}

int main(int argc, char** argv) {
  if (argc != 4) return fprintf(stderr, "kernel_client ADDRESS PORT TRUSTED.pem\n"), 2;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(argv[2]))};
  to.sin_addr.s_addr = inet_addr(argv[1]);
  const int peer = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(peer, (void*)&to, sizeof(to)) != 0) return perror("connect"), 1;
  sem_init(&finished, 0, 0);

  SECURITY_STRING package = COUNTED(package_text);
  SCH_CREDENTIALS auth = {.dwVersion = SCH_CREDENTIALS_VERSION};
  KtlsimCred_Trust trust = {argv[3]};
  CredHandle credential;
  CtxtHandle context;
  SecInvalidateHandle(&context);
  SECURITY_STATUS status = AcquireCredentialsHandleW(NULL, &package, SECPKG_CRED_OUTBOUND, NULL,
                                                     &auth, NULL, NULL, &credential, NULL);
  if (status == SEC_E_OK)
    status = SetCredentialsAttributesW(&credential, KTLSIM_ATTR_TRUST, &trust, sizeof(trust));
  if (status == SEC_E_OK) status = Handshake(peer, &credential, &context);
  SecPkgContext_ConnectionInfo info;
  if (status == SEC_E_OK)
    status = QueryContextAttributesW(&context, SECPKG_ATTR_CONNECTION_INFO, &info);
  if (status == SEC_E_OK)
    printf("connected: protocol 0x%x, %u-bit cipher\n", (unsigned)info.dwProtocol,
           (unsigned)info.dwCipherStrength);
  else
    fprintf(stderr, "failed: %s (0x%08x)\n", KtlsimStatusName(status), (unsigned)status);
  // In kernel mode the deletion is queued as well: fire and forget.
  SspiAsyncContext* const teardown = SspiCreateAsyncContext();
  if (SecIsValidHandle(&context)) SspiDeleteSecurityContextAsync(teardown, &context);
  SspiFreeAsyncContext(teardown);
  FreeCredentialsHandle(&credential);
  close(peer);
  return KtlsimStop() == SEC_E_OK && status == SEC_E_OK ? 0 : 1;
}
