// A TLS server on the asynchronous SSPI: one request and one response per connection.
//   cc async_server.c $(pkg-config --cflags --libs ktlsim) -o async_server
//   ./async_server 8443 certificate.pem key.pem 10      (ends after 10 connections)
//   curl --cacert certificate.pem https://localhost:8443/
//
// The main thread accepts. Each step of a connection is queued and completes in a callback on a
// notification thread, which may block: so it sends, receives, and submits the next step. A
// connection belongs to the thread that runs its step: once a submission was accepted, the
// submitter never touches it again.
#include <arpa/inet.h>
#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <semaphore.h>
#include <sspi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

typedef struct {
  int socket;
  CtxtHandle context;
  SspiAsyncContext* async;
  unsigned char inbox[20000];
  ULONG count;
  // What a call owns from its submission to its callback.
  unsigned char token[20000];
  SecBuffer in[4];
  SecBuffer out;
  SecBufferDesc input, output;
  ULONG attributes;
} Connection;

static CredHandle credential;
static sem_t ended;  // posted once per connection

static void Shaken(SspiAsyncContext* async, PVOID data);
static void Opened(SspiAsyncContext* async, PVOID data);

// The end of every connection. The teardown is queued, too, without a callback: fire and forget.
static void End(Connection* connection, const char* why) {
  if (why != NULL) fprintf(stderr, "connection ended: %s\n", why);
  close(connection->socket);
  SspiFreeAsyncContext(connection->async);
  SspiAsyncContext* const teardown = SspiCreateAsyncContext();
  if (SecIsValidHandle(&connection->context) && teardown != NULL)
    SspiDeleteSecurityContextAsync(teardown, &connection->context);
  SspiFreeAsyncContext(teardown);
  free(connection);
  sem_post(&ended);
}

static int Receive(Connection* connection) {
  const size_t room = sizeof(connection->inbox) - connection->count;
  const ssize_t got = recv(connection->socket, connection->inbox + connection->count, room, 0);
  if (got > 0) connection->count += (ULONG)got;
  return got > 0;
}

static int Send(Connection* connection, const void* bytes, ULONG count) {
  return count == 0 || send(connection->socket, bytes, count, MSG_NOSIGNAL) == (ssize_t)count;
}

static void KeepExtra(Connection* connection, const SecBuffer* extra) {
  const ULONG rest = extra->BufferType == SECBUFFER_EXTRA ? extra->cbBuffer : 0;
  memmove(connection->inbox, connection->inbox + connection->count - rest, rest);
  connection->count = rest;
}

// One leg with all of the inbox.
static void SubmitLeg(Connection* connection) {
  connection->in[0] = (SecBuffer){connection->count, SECBUFFER_TOKEN, connection->inbox};
  connection->in[1] = (SecBuffer){0, SECBUFFER_EMPTY, NULL};
  connection->out = (SecBuffer){sizeof(connection->token), SECBUFFER_TOKEN, connection->token};
  connection->input = (SecBufferDesc){SECBUFFER_VERSION, 2, connection->in};
  connection->output = (SecBufferDesc){SECBUFFER_VERSION, 1, &connection->out};
  const int first = !SecIsValidHandle(&connection->context);
  SspiReinitAsyncContext(connection->async);
  SspiSetAsyncNotifyCallback(connection->async, Shaken, connection);
  const SECURITY_STATUS queued = SspiAcceptSecurityContextAsync(
      connection->async, &credential, first ? NULL : &connection->context, &connection->input,
      ASC_REQ_STREAM | ASC_REQ_EXTENDED_ERROR, SECURITY_NATIVE_DREP, &connection->context,
      &connection->output, &connection->attributes, NULL);
  if (queued != SEC_E_OK) End(connection, KtlsimStatusName(queued));  // no callback will come
}

static void SubmitOpen(Connection* connection) {
  connection->in[0] = (SecBuffer){connection->count, SECBUFFER_DATA, connection->inbox};
  for (int i = 1; i < 4; ++i) connection->in[i] = (SecBuffer){0, SECBUFFER_EMPTY, NULL};
  connection->input = (SecBufferDesc){SECBUFFER_VERSION, 4, connection->in};
  SspiReinitAsyncContext(connection->async);
  SspiSetAsyncNotifyCallback(connection->async, Opened, connection);
  const SECURITY_STATUS queued =
      SspiDecryptMessageAsync(connection->async, &connection->context, &connection->input, 0, NULL);
  if (queued != SEC_E_OK) End(connection, KtlsimStatusName(queued));
}

// A leg is over.
static void Shaken(SspiAsyncContext* async, PVOID data) {
  Connection* const connection = data;
  const SECURITY_STATUS status = SspiGetAsyncCallStatus(async);
  if (status == SEC_E_INCOMPLETE_MESSAGE) {
    if (!Receive(connection)) return End(connection, "the client left in its handshake");
    return SubmitLeg(connection);
  }
  // Whatever the status: with an error it is the alert.
  if (!Send(connection, connection->token, connection->out.cbBuffer))
    return End(connection, "send");
  if (status != SEC_E_OK && status != SEC_I_CONTINUE_NEEDED)
    return End(connection, KtlsimStatusName(status));
  KeepExtra(connection, &connection->in[1]);
  if (connection->count == 0 && !Receive(connection)) return End(connection, "the client left");
  if (status == SEC_I_CONTINUE_NEEDED) return SubmitLeg(connection);
  SubmitOpen(connection);
}

// Seals the response and close_notify. Short work needs no queue: both calls run at once.
static void Answer(Connection* connection) {
  const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
  SecPkgContext_StreamSizes sizes;
  if (QueryContextAttributesA(&connection->context, SECPKG_ATTR_STREAM_SIZES, &sizes) != SEC_E_OK)
    return End(connection, "sizes");
  unsigned char* const data = connection->token + sizes.cbHeader;
  memcpy(data, text, sizeof(text) - 1);
  SecBuffer part[3] = {{sizes.cbHeader, SECBUFFER_STREAM_HEADER, connection->token},
                       {sizeof(text) - 1, SECBUFFER_DATA, data},
                       {sizes.cbTrailer, SECBUFFER_STREAM_TRAILER, data + sizeof(text) - 1}};
  SecBufferDesc message = {SECBUFFER_VERSION, 3, part};
  if (EncryptMessage(&connection->context, 0, &message, 0) != SEC_E_OK)
    return End(connection, "seal");
  const ULONG all = part[0].cbBuffer + part[1].cbBuffer + part[2].cbBuffer;
  if (!Send(connection, connection->token, all)) return End(connection, "send");
  DWORD type = SCHANNEL_SHUTDOWN;
  SecBuffer token = {sizeof(type), SECBUFFER_TOKEN, &type};
  SecBuffer out = {sizeof(connection->token), SECBUFFER_TOKEN, connection->token};
  SecBufferDesc control = {SECBUFFER_VERSION, 1, &token}, output = {SECBUFFER_VERSION, 1, &out};
  if (ApplyControlToken(&connection->context, &control) == SEC_E_OK &&
      AcceptSecurityContext(&credential, &connection->context, NULL, ASC_REQ_STREAM, 0,
                            &connection->context, &output, &connection->attributes,
                            NULL) == SEC_E_OK) {
    Send(connection, connection->token, out.cbBuffer);
  }
  End(connection, NULL);
}

// A record is open, or has to wait for its rest.
static void Opened(SspiAsyncContext* async, PVOID data) {
  Connection* const connection = data;
  const SECURITY_STATUS status = SspiGetAsyncCallStatus(async);
  if (status == SEC_E_INCOMPLETE_MESSAGE) {
    if (!Receive(connection)) return End(connection, "the client left in a record");
    return SubmitOpen(connection);
  }
  if (status == SEC_I_RENEGOTIATE) {  // a key update, for the leg function
    KeepExtra(connection, &connection->in[3]);
    return SubmitLeg(connection);
  }
  if (status != SEC_E_OK) return End(connection, KtlsimStatusName(status));
  Answer(connection);  // the request itself does not matter here
}

static int Listen(const char* port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(port))};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(at);
  const int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (bind(listener, (void*)&at, length) != 0 || listen(listener, 128) != 0) return -1;
  getsockname(listener, (void*)&at, &length);
  printf("listening on 127.0.0.1:%u\n", (unsigned)ntohs(at.sin_port));
  fflush(stdout);
  return listener;
}

static SECURITY_STATUS Acquire(const char* certificate_file, const char* key_file) {
  PCCERT_CONTEXT certificate = NULL;
  SECURITY_STATUS status = KtlsimLoadCertificate(certificate_file, key_file, &certificate);
  if (status != SEC_E_OK) return status;
  SCH_CREDENTIALS auth = {
      .dwVersion = SCH_CREDENTIALS_VERSION, .cCreds = 1, .paCred = &certificate};
  status = AcquireCredentialsHandleA(NULL, UNISP_NAME_A, SECPKG_CRED_INBOUND, NULL, &auth, NULL,
                                     NULL, &credential, NULL);
  CertFreeCertificateContext(certificate);  // the credential has its own reference
  return status;
}

int main(int argc, char** argv) {
  if (argc != 5) return fprintf(stderr, "async_server PORT CERT.pem KEY.pem CONNECTIONS\n"), 2;
  if (Acquire(argv[2], argv[3]) != SEC_E_OK)
    return fprintf(stderr, "%s\n", KtlsimLastErrorText()), 1;
  const int listener = Listen(argv[1]);
  if (listener < 0) return perror("listen"), 1;
  sem_init(&ended, 0, 0);
  const int connections = atoi(argv[4]);
  for (int i = 0; i < connections; ++i) {
    Connection* const connection = calloc(1, sizeof(*connection));
    const int peer = accept(listener, NULL, NULL);
    if (connection == NULL || peer < 0) return perror("accept"), 1;
    const struct timeval patience = {.tv_sec = 10};  // a silent client does not keep its thread
    setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    connection->socket = peer;
    connection->async = SspiCreateAsyncContext();
    SecInvalidateHandle(&connection->context);
    SubmitLeg(connection);  // nothing was received yet: the first leg says how much is missing
  }
  close(listener);
  // Only then: a library that stops accepts no further step.
  for (int i = 0; i < connections; ++i) sem_wait(&ended);
  const SECURITY_STATUS stopped = KtlsimStop();  // waits for every callback
  FreeCredentialsHandle(&credential);
  return stopped == SEC_E_OK ? 0 : 1;
}
