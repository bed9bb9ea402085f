// The library's statistics: makes some handshakes in memory, then reads every counter.
//   cc statistics.c $(pkg-config --cflags --libs ktlsim) -o statistics
//   ./statistics 50
#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  CtxtHandle context;
  unsigned char outbox[20000];  // what it sent and the other has not read
  ULONG count;
  SECURITY_STATUS status;
} End;

// One leg of `end` with all that `peer` has sent.
static void Leg(End* end, End* peer, CredHandle* credential, int server) {
  const int first = !SecIsValidHandle(&end->context);
  SecBuffer in[2] = {{peer->count, SECBUFFER_TOKEN, peer->outbox}, {0, SECBUFFER_EMPTY, NULL}};
  SecBuffer out = {sizeof(end->outbox), SECBUFFER_TOKEN, end->outbox};
  SecBufferDesc input = {SECBUFFER_VERSION, 2, in}, output = {SECBUFFER_VERSION, 1, &out};
  ULONG attributes = 0;
  end->status =
      server ? AcceptSecurityContext(credential, first ? NULL : &end->context, &input,
                                     ASC_REQ_STREAM, 0, &end->context, &output, &attributes, NULL)
             : InitializeSecurityContextA(
                   credential, first ? NULL : &end->context, first ? (char*)"localhost" : NULL,
                   ISC_REQ_STREAM | ISC_REQ_MANUAL_CRED_VALIDATION, 0, 0, first ? NULL : &input, 0,
                   &end->context, &output, &attributes, NULL);
  end->count = out.cbBuffer;
  peer->count = 0;
}

static int Shake(CredHandle* client_credential, CredHandle* server_credential) {
  static End client, server;
  memset(&client, 0, sizeof(client));
  memset(&server, 0, sizeof(server));
  SecInvalidateHandle(&client.context);
  SecInvalidateHandle(&server.context);
  do {
    Leg(&client, &server, client_credential, 0);
    if (client.count > 0) Leg(&server, &client, server_credential, 1);
  } while (client.status == SEC_I_CONTINUE_NEEDED && server.status >= 0);
  if (SecIsValidHandle(&client.context)) DeleteSecurityContext(&client.context);
  if (SecIsValidHandle(&server.context)) DeleteSecurityContext(&server.context);
  return client.status == SEC_E_OK && server.status == SEC_E_OK;
}

// The bucket that the `share`-th part of all calls lies in, as an upper bound in nanoseconds.
static double Below(const KtlsimHistogram* histogram, double share) {
  ULONGLONG all = 0, seen = 0;
  for (int i = 0; i < KTLSIM_HISTOGRAM_BUCKETS; ++i) all += histogram->cCalls[i];
  for (int i = 0; i < KTLSIM_HISTOGRAM_BUCKETS; ++i) {
    seen += histogram->cCalls[i];
    if (all > 0 && (double)seen >= share * (double)all) return (double)(2ULL << i);
  }
  return 0;
}

static void PrintProcessors(void) {
  static const char* const lanes[KTLSIM_LANES] = {"record", "handshake"};
  printf("%-10s %-10s %9s %14s %14s\n", "processor", "lane", "completed", "queued p99",
         "served p99");
  KtlsimProcessorStatistics one = {.cbSize = sizeof(one)};
  for (ULONG i = 0; KtlsimQueryProcessorStatistics(i, &one) == SEC_E_OK; ++i) {
    for (int lane = 0; lane < KTLSIM_LANES; ++lane) {
      const KtlsimLaneStatistics* const at = &one.Lanes[lane];
      if (at->cCompleted == 0) continue;
      printf("%-2u %-7s %-10s %9llu %11.0f us %11.0f us\n", (unsigned)i, one.szRole, lanes[lane],
             (unsigned long long)at->cCompleted, Below(&at->Queued, 0.99) / 1e3,
             Below(&at->Served, 0.99) / 1e3);
    }
  }
}

int main(int argc, char** argv) {
  const int wanted = argc > 1 ? atoi(argv[1]) : 50;
  KtlsimOptions options = {.cbSize = sizeof(options), .fFlags = KTLSIM_TIME_EVERY_CALL};
  if (KtlsimStart(&options) != SEC_E_OK) return fprintf(stderr, "%s\n", KtlsimLastErrorText()), 1;
  PCCERT_CONTEXT certificate = NULL;
  KtlsimCreateSelfSignedCertificate("localhost", KTLSIM_KEY_ECDSA_P256, &certificate);
  SCH_CREDENTIALS of_server = {
      .dwVersion = SCH_CREDENTIALS_VERSION, .cCreds = 1, .paCred = &certificate};
  SCH_CREDENTIALS of_client = {.dwVersion = SCH_CREDENTIALS_VERSION,
                               .dwFlags = SCH_CRED_DISABLE_RECONNECTS};
  CredHandle server, client;
  if (AcquireCredentialsHandleA(NULL, UNISP_NAME_A, SECPKG_CRED_INBOUND, NULL, &of_server, NULL,
                                NULL, &server, NULL) != SEC_E_OK ||
      AcquireCredentialsHandleA(NULL, UNISP_NAME_A, SECPKG_CRED_OUTBOUND, NULL, &of_client, NULL,
                                NULL, &client, NULL) != SEC_E_OK) {
    return fprintf(stderr, "%s\n", KtlsimLastErrorText()), 1;
  }
  int done = 0;
  while (done < wanted && Shake(&client, &server)) ++done;

  KtlsimStatistics all = {.cbSize = sizeof(all)};
  KtlsimQueryStatistics(&all);
  printf("%llu calls accepted, %llu completed, %llu refused; %llu handshakes, %llu failed\n",
         (unsigned long long)all.cAccepted, (unsigned long long)all.cCompleted,
         (unsigned long long)all.cRefused, (unsigned long long)all.cHandshakesCompleted,
         (unsigned long long)all.cHandshakesFailed);
  PrintProcessors();
  FreeCredentialsHandle(&client);
  FreeCredentialsHandle(&server);
  CertFreeCertificateContext(certificate);
  return KtlsimStop() == SEC_E_OK && done == wanted ? 0 : 1;
}
