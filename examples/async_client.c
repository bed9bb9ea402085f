// One HTTP GET over TLS: asynchronous SSPI for the handshake, a blocking socket for the bytes.
//   cc async_client.c $(pkg-config --cflags --libs ktlsim) -o async_client
//   ./async_client 127.0.0.1 8443 localhost certificate.pem
#include <arpa/inet.h>
#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <semaphore.h>
#include <sspi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
  int socket;  // blocks, so a send takes all
  CredHandle credential;
  CtxtHandle context;
  SspiAsyncContext* async;
  sem_t finished;              // posted once per accepted call
  unsigned char inbox[40000];  // ciphertext: the longest record and then some
  size_t count;
} Client;

// On a notification thread. A program with an event loop would post to it instead.
static void Notify(SspiAsyncContext* async, PVOID data) {
  (void)async;
  sem_post(&((Client*)data)->finished);
}

static SECURITY_STATUS Send(Client* client, const void* bytes, size_t count) {
  const ssize_t sent = send(client->socket, bytes, count, MSG_NOSIGNAL);
  return sent == (ssize_t)count ? SEC_E_OK : SEC_E_INTERNAL_ERROR;
}

// Reads more, unless the inbox holds what no call has seen yet.
static int Fill(Client* client, SECURITY_STATUS last) {
  if (client->count > 0 && last != SEC_E_INCOMPLETE_MESSAGE) return 1;
  const size_t room = sizeof(client->inbox) - client->count;
  const ssize_t got = recv(client->socket, client->inbox + client->count, room, 0);
  if (got > 0) client->count += (size_t)got;
  return got > 0;
}

// Keeps what a call has not used: the end of the inbox.
static void KeepExtra(Client* client, const SecBuffer* extra) {
  const size_t rest = extra->BufferType == SECBUFFER_EXTRA ? extra->cbBuffer : 0;
  memmove(client->inbox, client->inbox + client->count - rest, rest);
  client->count = rest;
}

// One leg with all of the inbox: queued at once, done on another thread, waited for here. The first
// call names the server and makes the context.
static SECURITY_STATUS Leg(Client* client, char* server) {
  SecBuffer in[2] = {{(ULONG)client->count, SECBUFFER_TOKEN, client->inbox}};  // and one EMPTY
  SecBuffer token = {0, SECBUFFER_TOKEN, NULL};
  SecBufferDesc input = {SECBUFFER_VERSION, 2, in}, output = {SECBUFFER_VERSION, 1, &token};
  ULONG attributes = 0;
  const ULONG flags = ISC_REQ_EXTENDED_ERROR | ISC_REQ_STREAM | ISC_REQ_ALLOCATE_MEMORY;
  SspiReinitAsyncContext(client->async);
  const SECURITY_STATUS queued = SspiInitializeSecurityContextAsyncA(
      client->async, &client->credential, server != NULL ? NULL : &client->context, server, flags,
      0, SECURITY_NATIVE_DREP, server != NULL ? NULL : &input, 0, &client->context, &output,
      &attributes, NULL);
  if (queued != SEC_E_OK) return queued;  // refused: no callback will come
  sem_wait(&client->finished);
  const SECURITY_STATUS status = SspiGetAsyncCallStatus(client->async);
  if (status == SEC_E_INCOMPLETE_MESSAGE) return status;
  if (server == NULL) KeepExtra(client, &in[1]);
  // Whatever the status: with an error it is the alert.
  const SECURITY_STATUS sent = Send(client, token.pvBuffer, token.cbBuffer);
  FreeContextBuffer(token.pvBuffer);
  return sent == SEC_E_OK ? status : sent;
}

static SECURITY_STATUS Handshake(Client* client, char* server) {
  SECURITY_STATUS status = Leg(client, server);
  while (status == SEC_I_CONTINUE_NEEDED || status == SEC_E_INCOMPLETE_MESSAGE)
    status = Fill(client, status) ? Leg(client, NULL) : SEC_E_INTERNAL_ERROR;
  return status;
}

// Sealed at once: only work that may take long is worth a queue.
static SECURITY_STATUS Request(Client* client, const char* server) {
  unsigned char record[1200];
  SecPkgContext_StreamSizes size;
  SECURITY_STATUS status =
      QueryContextAttributesA(&client->context, SECPKG_ATTR_STREAM_SIZES, &size);
  if (status != SEC_E_OK) return status;
  unsigned char* const text = record + size.cbHeader;
  const char format[] = "GET / HTTP/1.1\r\nHost: %.250s\r\nConnection: close\r\n\r\n";
  const ULONG length = (ULONG)snprintf((char*)text, 1000, format, server);
  SecBuffer part[3] = {{size.cbHeader, SECBUFFER_STREAM_HEADER, record},
                       {length, SECBUFFER_DATA, text},
                       {size.cbTrailer, SECBUFFER_STREAM_TRAILER, text + length}};
  SecBufferDesc message = {SECBUFFER_VERSION, 3, part};
  status = EncryptMessage(&client->context, 0, &message, 0);
  if (status == SEC_E_OK) status = Send(client, record, size.cbHeader + length + part[2].cbBuffer);
  return status;
}

// Prints the plaintext until the server's close_notify.
static SECURITY_STATUS PrintAnswer(Client* client) {
  SECURITY_STATUS status = SEC_E_OK;
  while (Fill(client, status)) {
    SecBuffer part[4] = {{(ULONG)client->count, SECBUFFER_DATA, client->inbox}};  // and 3 EMPTY
    SecBufferDesc message = {SECBUFFER_VERSION, 4, part};
    status = DecryptMessage(&client->context, &message, 0, NULL);
    if (status == SEC_E_INCOMPLETE_MESSAGE) continue;
    if (status == SEC_I_CONTEXT_EXPIRED) return SEC_E_OK;  // close_notify
    if (status == SEC_E_OK) fwrite(part[1].pvBuffer, 1, part[1].cbBuffer, stdout);
    KeepExtra(client, &part[3]);
    // A ticket or a key update, which is for a leg; that may return a token to send.
    if (status == SEC_I_RENEGOTIATE) status = Handshake(client, NULL);
    if (status != SEC_E_OK) return status;
  }
  return SEC_E_INCOMPLETE_MESSAGE;  // cut off
}

static SECURITY_STATUS Acquire(Client* client, const char* trust_file) {
  SCH_CREDENTIALS auth = {.dwVersion = SCH_CREDENTIALS_VERSION};  // the defaults
  KtlsimCred_Trust trust = {trust_file};
  const SECURITY_STATUS status = AcquireCredentialsHandleA(
      NULL, UNISP_NAME_A, SECPKG_CRED_OUTBOUND, NULL, &auth, NULL, NULL, &client->credential, NULL);
  if (status != SEC_E_OK) return status;
  return SetCredentialsAttributesA(&client->credential, KTLSIM_ATTR_TRUST, &trust, sizeof(trust));
}

int main(int argc, char** argv) {
  static Client client;
  if (argc != 5) return fprintf(stderr, "async_client ADDRESS PORT NAME TRUSTED.pem\n"), 2;
  struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(argv[2]))};
  peer.sin_addr.s_addr = inet_addr(argv[1]);
  client.socket = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(client.socket, (void*)&peer, sizeof(peer)) != 0) return perror("connect"), 1;
  sem_init(&client.finished, 0, 0);
  client.async = SspiCreateAsyncContext();  // starts the library
  SspiSetAsyncNotifyCallback(client.async, Notify, &client);
  SECURITY_STATUS status = Acquire(&client, argv[4]);
  if (status == SEC_E_OK) status = Handshake(&client, argv[3]);
  if (status == SEC_E_OK) status = Request(&client, argv[3]);
  if (status == SEC_E_OK) status = PrintAnswer(&client);
  if (status != SEC_E_OK) fprintf(stderr, "failed: 0x%08x\n", (unsigned)status);
  DeleteSecurityContext(&client.context);
  FreeCredentialsHandle(&client.credential);
  SspiFreeAsyncContext(client.async);
  close(client.socket);
  return KtlsimStop() == SEC_E_OK && status == SEC_E_OK ? 0 : 1;
}
