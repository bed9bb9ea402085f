// Records sealed by the library's processors, for a program that has an event loop of its own
// (epoll).
//   cc record_offload.c $(pkg-config --cflags --libs ktlsim) -o record_offload
//   ./record_offload 127.0.0.1 8443 localhost certificate.pem 100   (a server that echoes: --echo)
//
// The loop never waits for a record: it queues SspiEncryptMessageAsync and goes on. The callback,
// on another thread, says which record is sealed and wakes the loop through an eventfd. Calls on
// one context run in the order of submission; callbacks may overtake each other, so the loop sends
// from the oldest record on as far as they have come.
#include <arpa/inet.h>
#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kRecords = 8, kPlaintext = 4096 };

typedef struct {
  SspiAsyncContext* async;
  SecBuffer part[3];
  SecBufferDesc message;
  unsigned char bytes[kPlaintext + 256];
  atomic_int sealed;  // its callback has come: the record and its async context are ours again
} Record;

static Record records[kRecords];  // a ring: filled at `next`, sent from `oldest`
static CredHandle credential;
static CtxtHandle context;
static SecPkgContext_StreamSizes sizes;
static unsigned char inbox[80000];
static ULONG count;
static int peer, wakeup;

static void Sealed(SspiAsyncContext* async, PVOID data) {
  (void)async;
  atomic_store(&((Record*)data)->sealed, 1);
  const uint64_t one = 1;
  if (write(wakeup, &one, sizeof(one)) < 0) abort();
}

static SECURITY_STATUS Queue(Record* record, int number) {
  unsigned char* const text = record->bytes + sizes.cbHeader;
  memset(text, 'a' + number % 26, kPlaintext);
  record->part[0] = (SecBuffer){sizes.cbHeader, SECBUFFER_STREAM_HEADER, record->bytes};
  record->part[1] = (SecBuffer){kPlaintext, SECBUFFER_DATA, text};
  record->part[2] = (SecBuffer){sizes.cbTrailer, SECBUFFER_STREAM_TRAILER, text + kPlaintext};
  record->message = (SecBufferDesc){SECBUFFER_VERSION, 3, record->part};
  SspiReinitAsyncContext(record->async);
  atomic_store(&record->sealed, 0);
  return SspiEncryptMessageAsync(record->async, &context, 0, &record->message, 0);
}

// Opens what has come; the plaintext's length, or -1 for the end.
static long Open(void) {
  long opened = 0;
  while (count > 0) {
    SecBuffer part[4] = {{count, SECBUFFER_DATA, inbox}};  // and three EMPTY
    SecBufferDesc message = {SECBUFFER_VERSION, 4, part};
    const SECURITY_STATUS status = DecryptMessage(&context, &message, 0, NULL);
    if (status == SEC_E_INCOMPLETE_MESSAGE) break;
    if (status != SEC_E_OK && status != SEC_I_RENEGOTIATE) return -1;
    ULONG rest = part[3].BufferType == SECBUFFER_EXTRA ? part[3].cbBuffer : 0;
    memmove(inbox, inbox + count - rest, rest);
    count = rest;
    if (status == SEC_E_OK) opened += part[1].cbBuffer;
    if (status != SEC_I_RENEGOTIATE) continue;
    // A session ticket, for a leg, which returns no token.
    SecBuffer in[2] = {{count, SECBUFFER_TOKEN, inbox}, {0, SECBUFFER_EMPTY, NULL}};
    SecBuffer out = {0, SECBUFFER_TOKEN, NULL};
    SecBufferDesc input = {SECBUFFER_VERSION, 2, in}, output = {SECBUFFER_VERSION, 1, &out};
    ULONG attributes = 0;
    InitializeSecurityContextA(&credential, &context, NULL, ISC_REQ_ALLOCATE_MEMORY, 0, 0, &input,
                               0, NULL, &output, &attributes, NULL);
    FreeContextBuffer(out.pvBuffer);
    rest = in[1].BufferType == SECBUFFER_EXTRA ? in[1].cbBuffer : 0;
    memmove(inbox, inbox + count - rest, rest);
    count = rest;
  }
  return opened;
}

// The handshake, synchronously: it happens once.
static SECURITY_STATUS Handshake(char* server) {
  SECURITY_STATUS status = SEC_I_CONTINUE_NEEDED;
  for (int first = 1; status == SEC_I_CONTINUE_NEEDED || status == SEC_E_INCOMPLETE_MESSAGE;
       first = 0) {
    if (!first) {
      const ssize_t got = recv(peer, inbox + count, sizeof(inbox) - count, 0);
      if (got <= 0) return SEC_E_INTERNAL_ERROR;
      count += (ULONG)got;
    }
    SecBuffer in[2] = {{count, SECBUFFER_TOKEN, inbox}, {0, SECBUFFER_EMPTY, NULL}};
    SecBuffer out = {0, SECBUFFER_TOKEN, NULL};
    SecBufferDesc input = {SECBUFFER_VERSION, 2, in}, output = {SECBUFFER_VERSION, 1, &out};
    ULONG attributes = 0;
    status = InitializeSecurityContextA(
        &credential, first ? NULL : &context, server, ISC_REQ_STREAM | ISC_REQ_ALLOCATE_MEMORY, 0,
        0, first ? NULL : &input, 0, &context, &output, &attributes, NULL);
    if (status == SEC_E_INCOMPLETE_MESSAGE) continue;
    const ULONG rest = in[1].BufferType == SECBUFFER_EXTRA ? in[1].cbBuffer : 0;
    memmove(inbox, inbox + count - rest, rest);
    count = rest;
    if (out.cbBuffer > 0) send(peer, out.pvBuffer, out.cbBuffer, MSG_NOSIGNAL);
    FreeContextBuffer(out.pvBuffer);
  }
  return status;
}

// The event loop: sends what is sealed, seals more, and reads the echo until all of it is back.
static SECURITY_STATUS Run(int wanted) {
  const int loop = epoll_create1(0);
  epoll_ctl(loop, EPOLL_CTL_ADD, peer, &(struct epoll_event){.events = EPOLLIN, .data.fd = peer});
  epoll_ctl(loop, EPOLL_CTL_ADD, wakeup,
            &(struct epoll_event){.events = EPOLLIN, .data.fd = wakeup});
  int next = 0, oldest = 0;
  long back = Open();  // the handshake may have left bytes
  while (back >= 0 && back < (long)wanted * kPlaintext) {
    while (next < wanted && next - oldest < kRecords) {
      const SECURITY_STATUS status = Queue(&records[next % kRecords], next);
      if (status == SEC_E_INSUFFICIENT_MEMORY) break;  // the queue is full: later
      if (status != SEC_E_OK) return status;
      ++next;
    }
    struct epoll_event events[2];
    const int ready = epoll_wait(loop, events, 2, 10000);
    if (ready <= 0) return SEC_E_INTERNAL_ERROR;
    for (int i = 0; i < ready; ++i) {
      if (events[i].data.fd == wakeup) {
        uint64_t wakeups = 0;
        if (read(wakeup, &wakeups, sizeof(wakeups)) < 0) return SEC_E_INTERNAL_ERROR;
        for (; oldest < next && atomic_load(&records[oldest % kRecords].sealed); ++oldest) {
          Record* const record = &records[oldest % kRecords];
          const SECURITY_STATUS status = SspiGetAsyncCallStatus(record->async);
          if (status != SEC_E_OK) return status;
          const size_t all = sizes.cbHeader + kPlaintext + record->part[2].cbBuffer;
          if (send(peer, record->bytes, all, MSG_NOSIGNAL) != (ssize_t)all)
            return SEC_E_INTERNAL_ERROR;
        }
      } else {
        const ssize_t got = recv(peer, inbox + count, sizeof(inbox) - count, 0);
        if (got <= 0) return SEC_E_INCOMPLETE_MESSAGE;
        count += (ULONG)got;
        const long opened = Open();
        if (opened < 0) return SEC_E_DECRYPT_FAILURE;
        back += opened;
      }
    }
  }
  close(loop);
  printf("%d records sealed on other threads, %ld bytes back\n", wanted, back);
  return SEC_E_OK;
}

int main(int argc, char** argv) {
  if (argc != 6) return fprintf(stderr, "record_offload ADDRESS PORT NAME TRUSTED.pem N\n"), 2;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(argv[2]))};
  to.sin_addr.s_addr = inet_addr(argv[1]);
  peer = socket(AF_INET, SOCK_STREAM, 0);
  wakeup = eventfd(0, 0);
  if (connect(peer, (void*)&to, sizeof(to)) != 0) return perror("connect"), 1;
  SCH_CREDENTIALS auth = {.dwVersion = SCH_CREDENTIALS_VERSION};
  KtlsimCred_Trust trust = {argv[4]};
  SecInvalidateHandle(&context);
  SECURITY_STATUS status = AcquireCredentialsHandleA(NULL, UNISP_NAME_A, SECPKG_CRED_OUTBOUND, NULL,
                                                     &auth, NULL, NULL, &credential, NULL);
  if (status == SEC_E_OK)
    status = SetCredentialsAttributesA(&credential, KTLSIM_ATTR_TRUST, &trust, sizeof(trust));
  if (status == SEC_E_OK) status = Handshake(argv[3]);
  if (status == SEC_E_OK)
    status = QueryContextAttributesA(&context, SECPKG_ATTR_STREAM_SIZES, &sizes);
  for (int i = 0; i < kRecords; ++i) {
    records[i].async = SspiCreateAsyncContext();
    SspiSetAsyncNotifyCallback(records[i].async, Sealed, &records[i]);
  }
  if (status == SEC_E_OK) status = Run(atoi(argv[5]));
  if (status != SEC_E_OK) fprintf(stderr, "failed: %s\n", KtlsimStatusName(status));
  if (SecIsValidHandle(&context)) DeleteSecurityContext(&context);  // waits for what is queued
  FreeCredentialsHandle(&credential);
  const SECURITY_STATUS stopped = KtlsimStop();  // no callback comes after this
  for (int i = 0; i < kRecords; ++i) SspiFreeAsyncContext(records[i].async);
  close(peer);
  return stopped == SEC_E_OK && status == SEC_E_OK ? 0 : 1;
}
