// One HTTP GET over TLS as a Schannel program on Windows does it: synchronous calls, one after the
// other.
//   cc sync_client.c $(pkg-config --cflags --libs ktlsim) -o sync_client
//   ./sync_client 127.0.0.1 8443 localhost certificate.pem
// Besides sockets, only KTLSIM_ATTR_TRUST and KtlsimLastErrorText are not Windows'.
#define SECURITY_WIN32
#include <arpa/inet.h>
#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned char inbox[40000];  // ciphertext: the longest record and then some
static DWORD count;

static int SendAll(int peer, const void* bytes, DWORD length) {
  return length == 0 || send(peer, bytes, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static int Receive(int peer) {
  const ssize_t got = recv(peer, inbox + count, sizeof(inbox) - count, 0);
  if (got > 0) count += (DWORD)got;
  return got > 0;
}

// What a call did not use lies at the end of its input.
static void KeepExtra(DWORD extra) {
  memmove(inbox, inbox + count - extra, extra);
  count = extra;
}

// Legs until the handshake is over; also for what comes later (tickets, key updates), with `first`
// 0.
static SECURITY_STATUS Handshake(int peer, CredHandle* credential, CtxtHandle* context,
                                 char* server, int first) {
  const DWORD flags = ISC_REQ_SEQUENCE_DETECT | ISC_REQ_REPLAY_DETECT | ISC_REQ_CONFIDENTIALITY |
                      ISC_REQ_EXTENDED_ERROR | ISC_REQ_ALLOCATE_MEMORY | ISC_REQ_STREAM;
  SECURITY_STATUS status = SEC_I_CONTINUE_NEEDED;
  int wait = !first && count == 0;
  while (status == SEC_I_CONTINUE_NEEDED || status == SEC_E_INCOMPLETE_MESSAGE) {
    if (wait && !Receive(peer)) return SEC_E_INTERNAL_ERROR;
    SecBuffer in[2] = {{count, SECBUFFER_TOKEN, inbox}, {0, SECBUFFER_EMPTY, NULL}};
    SecBuffer out[1] = {{0, SECBUFFER_TOKEN, NULL}};
    SecBufferDesc input = {SECBUFFER_VERSION, 2, in}, output = {SECBUFFER_VERSION, 1, out};
    DWORD attributes = 0;
    status = InitializeSecurityContextA(credential, first ? NULL : context, server, flags, 0, 0,
                                        first ? NULL : &input, 0, first ? context : NULL, &output,
                                        &attributes, NULL);
    if (status != SEC_E_INCOMPLETE_MESSAGE && !first)
      KeepExtra(in[1].BufferType == SECBUFFER_EXTRA ? in[1].cbBuffer : 0);
    // Also with an error: then it is the alert.
    const int sent = SendAll(peer, out[0].pvBuffer, out[0].cbBuffer);
    FreeContextBuffer(out[0].pvBuffer);
    if (!sent) return SEC_E_INTERNAL_ERROR;
    wait = count == 0 || status == SEC_E_INCOMPLETE_MESSAGE;
    first = 0;
  }
  return status;
}

static SECURITY_STATUS SendRequest(int peer, CtxtHandle* context, const char* server) {
  SecPkgContext_StreamSizes sizes;
  SECURITY_STATUS status = QueryContextAttributesA(context, SECPKG_ATTR_STREAM_SIZES, &sizes);
  if (status != SEC_E_OK) return status;
  unsigned char record[1200];
  char* const text = (char*)record + sizes.cbHeader;
  const char format[] = "GET / HTTP/1.1\r\nHost: %.250s\r\nConnection: close\r\n\r\n";
  const DWORD length = (DWORD)snprintf(text, 1000, format, server);
  SecBuffer part[4] = {{sizes.cbHeader, SECBUFFER_STREAM_HEADER, record},
                       {length, SECBUFFER_DATA, text},
                       {sizes.cbTrailer, SECBUFFER_STREAM_TRAILER, text + length},
                       {0, SECBUFFER_EMPTY, NULL}};
  SecBufferDesc message = {SECBUFFER_VERSION, 4, part};
  status = EncryptMessage(context, 0, &message, 0);
  if (status != SEC_E_OK) return status;
  const DWORD all = part[0].cbBuffer + part[1].cbBuffer + part[2].cbBuffer;
  return SendAll(peer, record, all) ? SEC_E_OK : SEC_E_INTERNAL_ERROR;
}

// Prints plaintext until close_notify.
static SECURITY_STATUS PrintAnswer(int peer, CredHandle* credential, CtxtHandle* context,
                                   char* server) {
  SECURITY_STATUS status = SEC_E_OK;
  for (;;) {
    if ((count == 0 || status == SEC_E_INCOMPLETE_MESSAGE) && !Receive(peer))
      return SEC_E_INCOMPLETE_MESSAGE;                     // cut off: the data is not complete
    SecBuffer part[4] = {{count, SECBUFFER_DATA, inbox}};  // and three EMPTY
    SecBufferDesc message = {SECBUFFER_VERSION, 4, part};
    status = DecryptMessage(context, &message, 0, NULL);
    if (status == SEC_E_INCOMPLETE_MESSAGE) continue;
    if (status == SEC_I_CONTEXT_EXPIRED) return SEC_E_OK;
    if (status != SEC_E_OK && status != SEC_I_RENEGOTIATE) return status;
    DWORD extra = 0;
    for (int i = 0; i < 4; ++i) {
      if (part[i].BufferType == SECBUFFER_DATA)
        fwrite(part[i].pvBuffer, 1, part[i].cbBuffer, stdout);
      if (part[i].BufferType == SECBUFFER_EXTRA) extra = part[i].cbBuffer;
    }
    KeepExtra(extra);
    if (status == SEC_I_RENEGOTIATE) status = Handshake(peer, credential, context, server, 0);
    if (status != SEC_E_OK) return status;
  }
}

// close_notify, so that the server knows that nothing is missing.
static void ShutDown(int peer, CredHandle* credential, CtxtHandle* context) {
  DWORD type = SCHANNEL_SHUTDOWN, attributes = 0;
  SecBuffer token = {sizeof(type), SECBUFFER_TOKEN, &type};
  SecBuffer out = {0, SECBUFFER_TOKEN, NULL};
  SecBufferDesc control = {SECBUFFER_VERSION, 1, &token}, output = {SECBUFFER_VERSION, 1, &out};
  if (ApplyControlToken(context, &control) != SEC_E_OK) return;
  InitializeSecurityContextA(credential, context, NULL, ISC_REQ_ALLOCATE_MEMORY | ISC_REQ_STREAM, 0,
                             0, NULL, 0, NULL, &output, &attributes, NULL);
  SendAll(peer, out.pvBuffer, out.cbBuffer);
  FreeContextBuffer(out.pvBuffer);
}

int main(int argc, char** argv) {
  if (argc != 5) return fprintf(stderr, "sync_client ADDRESS PORT NAME TRUSTED.pem\n"), 2;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(argv[2]))};
  to.sin_addr.s_addr = inet_addr(argv[1]);
  const int peer = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(peer, (void*)&to, sizeof(to)) != 0) return perror("connect"), 1;

  SCH_CREDENTIALS auth = {.dwVersion = SCH_CREDENTIALS_VERSION};
  KtlsimCred_Trust trust = {argv[4]};
  CredHandle credential;
  CtxtHandle context;
  SecInvalidateHandle(&context);
  SECURITY_STATUS status = AcquireCredentialsHandleA(NULL, UNISP_NAME_A, SECPKG_CRED_OUTBOUND, NULL,
                                                     &auth, NULL, NULL, &credential, NULL);
  if (status == SEC_E_OK)
    status = SetCredentialsAttributesA(&credential, KTLSIM_ATTR_TRUST, &trust, sizeof(trust));
  if (status == SEC_E_OK) status = Handshake(peer, &credential, &context, argv[3], 1);
  if (status == SEC_E_OK) status = SendRequest(peer, &context, argv[3]);
  if (status == SEC_E_OK) status = PrintAnswer(peer, &credential, &context, argv[3]);
  if (status == SEC_E_OK) ShutDown(peer, &credential, &context);
  if (status != SEC_E_OK)  // no later call on this thread has changed the text
    fprintf(stderr, "failed: %s (0x%08x)\n", KtlsimStatusName(status), (unsigned)status);
  if (SecIsValidHandle(&context)) DeleteSecurityContext(&context);
  FreeCredentialsHandle(&credential);
  close(peer);
  return status == SEC_E_OK ? 0 : 1;
}
