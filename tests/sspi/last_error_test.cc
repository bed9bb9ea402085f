// KtlsimLastErrorText: every function that fails says why, whichever thread has found the reason,
// and one that succeeds empties the text.

#include "kernel_sim/sspi/last_error.h"

#include <ktlsim/processor.h>
#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <array>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sspi_async.h"
#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

std::string Why() { return KtlsimLastErrorText(); }

SECURITY_STATUS Acquire(DWORD version, const char* package = UNISP_NAME_A) {
  SCH_CREDENTIALS cred{};
  cred.dwVersion = version;
  std::string name = package;
  CredHandle handle{};
  const SECURITY_STATUS status =
      AcquireCredentialsHandleA(nullptr, name.data(), SECPKG_CRED_OUTBOUND, nullptr, &cred, nullptr,
                                nullptr, &handle, nullptr);
  if (status == SEC_E_OK) FreeCredentialsHandle(&handle);
  return status;
}

TEST(LastErrorTest, AFailureOfAnotherCallIsNotTold) {
  ASSERT_EQ(Acquire(SCH_CREDENTIALS_VERSION), SEC_E_OK);  // runs by now
  ASSERT_EQ(KtlsimStart(nullptr), SEC_E_INVALID_PARAMETER);
  const std::string started = Why();
  EXPECT_NE(started.find("KtlsimStop first"), std::string::npos) << started;
  EXPECT_EQ(Acquire(7), SEC_E_UNKNOWN_CREDENTIALS);
  EXPECT_NE(Why().find("dwVersion"), std::string::npos) << Why();
  EXPECT_EQ(Acquire(SCH_CREDENTIALS_VERSION, "Kerberos"), SEC_E_SECPKG_NOT_FOUND);
  EXPECT_EQ(Why(), KtlsimStatusText(SEC_E_SECPKG_NOT_FOUND));
  EXPECT_EQ(Acquire(SCH_CREDENTIALS_VERSION), SEC_E_OK);
  EXPECT_EQ(Why(), "");
}

// Arguments are evaluated in any order: the text belongs to the call in the same argument list.
TEST(LastErrorTest, TheAddressStaysAndTheTextIsThatOfTheNewestCall) {
  const char* const before = KtlsimLastErrorText();
  EXPECT_EQ(Acquire(7), SEC_E_UNKNOWN_CREDENTIALS);
  std::string first = before;
  EXPECT_NE(first, "");
  EXPECT_EQ(FreeContextBuffer(&first), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(KtlsimLastErrorText(), before) << "one address";
  EXPECT_EQ(std::string(before), KtlsimStatusText(SEC_E_INVALID_HANDLE));
}

TEST(LastErrorTest, EveryThreadHasItsOwn) {
  EXPECT_EQ(Acquire(7), SEC_E_UNKNOWN_CREDENTIALS);
  std::string theirs = "?";
  std::string theirs_after = "?";
  std::thread([&] {
    theirs = Why();
    FreeCredentialsHandle(nullptr);
    theirs_after = Why();
  }).join();
  EXPECT_EQ(theirs, "");
  EXPECT_EQ(theirs_after, KtlsimStatusText(SEC_E_INVALID_HANDLE));
  EXPECT_NE(Why().find("dwVersion"), std::string::npos) << "untouched";
}

struct Case {
  const char* name;
  std::function<SECURITY_STATUS()> call;
};

// Handles that do not exist, null pointers, unknown names.
std::vector<Case> FailingCalls() {
  static CtxtHandle nobody = {7, 7};
  static SecBuffer buffer = {0, SECBUFFER_TOKEN, nullptr};
  static SecBufferDesc buffers = {SECBUFFER_VERSION, 1, &buffer};
  static ULONG number = 0;
  static char text[] = "nobody";
  static std::array<unsigned char, 512> memory{};
  const PSecBufferDesc desc = &buffers;
  return {
      {"Acquire", [] { return Acquire(9); }},
      {"AcquireW",
       [] {
         return AcquireCredentialsHandleW(nullptr, nullptr, 2, nullptr, nullptr, nullptr, nullptr,
                                          &nobody, nullptr);
       }},
      {"Initialize",
       [desc] {
         return InitializeSecurityContextA(&nobody, nullptr, text, 0, 0, 0, nullptr, 0, &nobody,
                                           desc, &number, nullptr);
       }},
      {"Accept",
       [desc] {
         return AcceptSecurityContext(&nobody, nullptr, desc, 0, 0, &nobody, desc, &number,
                                      nullptr);
       }},
      {"Delete", [] { return DeleteSecurityContext(&nobody); }},
      {"FreeCredentials", [] { return FreeCredentialsHandle(&nobody); }},
      {"ApplyControlToken", [desc] { return ApplyControlToken(&nobody, desc); }},
      {"CompleteAuthToken", [desc] { return CompleteAuthToken(&nobody, desc); }},
      {"Encrypt", [desc] { return EncryptMessage(&nobody, 0, desc, 0); }},
      {"Decrypt", [desc] { return DecryptMessage(&nobody, desc, 0, &number); }},
      {"MakeSignature", [desc] { return MakeSignature(&nobody, 0, desc, 0); }},
      {"VerifySignature", [desc] { return VerifySignature(&nobody, desc, 0, &number); }},
      {"Impersonate", [] { return ImpersonateSecurityContext(&nobody); }},
      {"Query", [] { return QueryContextAttributesA(&nobody, 4, memory.data()); }},
      {"QueryEx", [] { return QueryContextAttributesExW(&nobody, 4, memory.data(), 512); }},
      {"QueryCredentials", [] { return QueryCredentialsAttributesW(&nobody, 1, memory.data()); }},
      {"SetCredentials", [] { return SetCredentialsAttributesA(&nobody, 1, memory.data(), 512); }},
      {"Set", [] { return SetContextAttributesA(&nobody, 1, memory.data(), 512); }},
      {"Import", [] { return ImportSecurityContextA(text, &buffer, nullptr, &nobody); }},
      {"Package", [] { return QuerySecurityPackageInfoA(text, nullptr); }},
      {"FreeContextBuffer", [] { return FreeContextBuffer(memory.data()); }},
      {"ServerIdentity", [] { return SslGetServerIdentity(nullptr, 0, nullptr, &number, 0); }},
      {"EmptyCache",
       [] {
         std::string name(KTLSIM_NAME_UNITS_MAX + 1, 'x');
         return SslEmptyCacheA(name.data(), 0) == TRUE ? SEC_E_OK : SEC_E_INVALID_PARAMETER;
       }},
      {"ReinitAsync", [] { return SspiReinitAsyncContext(nullptr); }},
      {"SetNotify", [] { return SspiSetAsyncNotifyCallback(nullptr, nullptr, nullptr); }},
      {"AsyncStatus", [] { return SspiGetAsyncCallStatus(nullptr); }},
      {"DeleteAsync", [] { return SspiDeleteSecurityContextAsync(nullptr, &nobody); }},
      {"FreeCredentialsAsync", [] { return SspiFreeCredentialsHandleAsync(nullptr, &nobody); }},
      {"EncryptAsync", [desc] { return SspiEncryptMessageAsync(nullptr, &nobody, 0, desc, 0); }},
      {"CompleteAsync", [desc] { return SspiCompleteAuthTokenAsync(nullptr, &nobody, desc); }},
      {"VerifyAsync",
       [desc] { return SspiVerifySignatureAsync(nullptr, &nobody, desc, 0, &number); }},
      {"Cancel", [] { return KtlsimCancelAsyncCall(nullptr); }},
      {"NotifyMode", [] { return KtlsimSetNotifyMode(nullptr, 77); }},
      {"Statistics", [] { return KtlsimQueryStatistics(nullptr); }},
      {"Processors", [] { return KtlsimForEachProcessor(nullptr, nullptr); }},
      {"Load", [] { return KtlsimLoadCertificate("/nonexistent", "/nonexistent", nullptr); }},
  };
}

TEST(LastErrorTest, EveryFailureIsTold) {
  for (const Case& test : FailingCalls()) {
    ASSERT_EQ(Acquire(SCH_CREDENTIALS_VERSION), SEC_E_OK);
    ASSERT_EQ(Why(), "");
    const SECURITY_STATUS status = test.call();
    EXPECT_LT(status, 0) << test.name;
    EXPECT_GT(Why().size(), 5U) << test.name;
    // The same once more, so that it is not the text of an earlier call.
    sspi::NoteReason("stale");
    sspi::DescribeFailure(SEC_E_INTERNAL_ERROR);
    ASSERT_EQ(Why(), "stale");
    test.call();
    EXPECT_NE(Why(), "stale") << test.name;
  }
}

TEST(LastErrorTest, SuccessLeavesNothing) {
  TestCredential server = TestCredential::Server();
  TestCredential client = TestCredential::Client();
  TestEnd client_end(false);
  TestEnd server_end(true);
  ASSERT_TRUE(RunHandshake(client_end, client.get(), server_end, server.get()));
  const auto fail = [] { EXPECT_LT(FreeCredentialsHandle(nullptr), 0); };
  fail();
  const Bytes record = client_end.Seal(ToBytes("x"));
  EXPECT_EQ(Why(), "");
  fail();
  Append(server_end.inbox, record);
  EXPECT_EQ(ToText(server_end.Open(server.get())), "x");
  EXPECT_EQ(Why(), "");
  fail();
  SecPkgContext_StreamSizes sizes{};
  EXPECT_EQ(QueryContextAttributesA(&client_end.context, SECPKG_ATTR_STREAM_SIZES, &sizes),
            SEC_E_OK);
  EXPECT_EQ(Why(), "");
  fail();
  EXPECT_EQ(FreeContextBuffer(nullptr), SEC_E_OK);
  EXPECT_EQ(Why(), "");
}

// More bytes, like SEC_I_CONTINUE_NEEDED.
TEST(LastErrorTest, AskingForMoreBytesIsNoFailure) {
  TestCredential server = TestCredential::Server();
  TestEnd end(true);
  end.inbox = {22, 3};
  end.Leg(server.get());
  EXPECT_EQ(end.status, SEC_E_INCOMPLETE_MESSAGE);
  EXPECT_EQ(Why(), "");
}

// The leg ran on a processor; the thread that waited for it can read the reason found there.
TEST(LastErrorTest, LegsTellTheirReasonToTheWaitingCaller) {
  TestCredential server = TestCredential::Server();
  TestCredential client = TestCredential::Client(0, 0);
  TestEnd client_end(false);
  TestEnd server_end(true);
  client_end.target = "another.test";
  Append(server_end.inbox, client_end.Leg(client.get()));
  Append(client_end.inbox, server_end.Leg(server.get()));
  const Bytes alert = client_end.Leg(client.get());
  ASSERT_EQ(client_end.status, SEC_E_UNTRUSTED_ROOT);
  EXPECT_EQ(Why(), "the peer's certificate is self-signed and not trusted");
  Append(server_end.inbox, alert);
  server_end.Leg(server.get());
  ASSERT_LT(server_end.status, 0);
  EXPECT_EQ(Why(), "the client refused our certificate (alert unknown_ca received)");
  // A failed context fails again, with the same words.
  sspi::ForgetReason();
  server_end.inbox = {22, 3, 3, 0, 1, 0};
  server_end.Leg(server.get());
  ASSERT_LT(server_end.status, 0);
  EXPECT_EQ(Why(), "the client refused our certificate (alert unknown_ca received)");
  KtlsimContext_Failure failure{};
  ASSERT_EQ(QueryContextAttributesA(&server_end.context, KTLSIM_ATTR_CONTEXT_FAILURE, &failure),
            SEC_E_OK);
  EXPECT_EQ(failure.lReceivedAlert, TLS1_ALERT_UNKNOWN_CA);
  EXPECT_EQ(failure.lSentAlert, -1);
  EXPECT_EQ(Why(), "") << "a query is no failure";
}

// There is no context to query: a buffer of the call itself takes the failure.
TEST(LastErrorTest, AFirstLegTellsItsFailureInABuffer) {
  TestCredential server = TestCredential::Server();
  ASSERT_EQ(server.SetSuites("TLS_AES_256_GCM_SHA384"), SEC_E_OK);
  TestCredential client = TestCredential::Client();
  ASSERT_EQ(client.SetSuites("TLS_AES_128_GCM_SHA256"), SEC_E_OK);
  TestEnd client_end(false);
  Bytes hello = client_end.Leg(client.get());
  for (const bool large_enough : {true, false}) {
    Bytes output(1000);
    KtlsimContext_Failure failure = {"as it was", 1, 2};
    SecBuffer in = {static_cast<ULONG>(hello.size()), SECBUFFER_TOKEN, hello.data()};
    SecBuffer out[2] = {{static_cast<ULONG>(output.size()), SECBUFFER_TOKEN, output.data()},
                        {static_cast<ULONG>(sizeof(failure)) - (large_enough ? 0 : 1),
                         KTLSIM_SECBUFFER_FAILURE, &failure}};
    SecBufferDesc in_desc = {SECBUFFER_VERSION, 1, &in};
    SecBufferDesc out_desc = {SECBUFFER_VERSION, 2, out};
    CtxtHandle context{};
    ULONG attributes = 0;
    EXPECT_EQ(AcceptSecurityContext(server.get(), nullptr, &in_desc, ASC_REQ_EXTENDED_ERROR, 0,
                                    &context, &out_desc, &attributes, nullptr),
              SEC_E_ALGORITHM_MISMATCH);
    EXPECT_EQ(
        failure.pszWhy,
        std::string(large_enough ? "the client offered no cipher suite we accept" : "as it was"));
    EXPECT_EQ(failure.lReceivedAlert, large_enough ? -1 : 1);
    EXPECT_EQ(failure.lSentAlert, large_enough ? TLS1_ALERT_HANDSHAKE_FAILURE : 2);
  }
}

TEST(LastErrorTest, ChangedRecordsAreTold) {
  TestCredential server = TestCredential::Server();
  TestCredential client = TestCredential::Client();
  TestEnd client_end(false);
  TestEnd server_end(true);
  ASSERT_TRUE(RunHandshake(client_end, client.get(), server_end, server.get()));
  Bytes record = client_end.Seal(ToBytes("x"));
  record.back() ^= 1;
  server_end.inbox = record;
  server_end.Open(server.get());
  ASSERT_EQ(server_end.status, SEC_E_MESSAGE_ALTERED);
  const std::string why = Why();
  EXPECT_NE(why, "");
  KtlsimContext_Failure failure{};
  ASSERT_EQ(QueryContextAttributesA(&server_end.context, KTLSIM_ATTR_CONTEXT_FAILURE, &failure),
            SEC_E_OK);
  EXPECT_EQ(why, failure.pszWhy);
  EXPECT_EQ(failure.lSentAlert, TLS1_ALERT_BAD_RECORD_MAC);
  EXPECT_EQ(failure.lReceivedAlert, -1);
}

// The reason that a processor found for one caller is not reported to the next caller on it.
TEST(LastErrorTest, AsynchronousOutcomesAreToldWithTheStatus) {
  AsyncCall call;
  SCH_CREDENTIALS cred{};
  cred.dwVersion = 9;
  char name[] = UNISP_NAME_A;
  CredHandle handle{};
  ASSERT_EQ(SspiAcquireCredentialsHandleAsyncA(call.get(), nullptr, name, SECPKG_CRED_OUTBOUND,
                                               nullptr, &cred, nullptr, nullptr, &handle, nullptr),
            SEC_E_OK);
  EXPECT_EQ(Why(), "") << "it is queued";
  ASSERT_EQ(call.Wait(), SEC_E_UNKNOWN_CREDENTIALS);
  EXPECT_EQ(SspiGetAsyncCallStatus(call.get()), SEC_E_UNKNOWN_CREDENTIALS);
  EXPECT_EQ(Why(), KtlsimStatusText(SEC_E_UNKNOWN_CREDENTIALS));
}

TEST(LastErrorTest, LongTextsAreCutBetweenCharacters) {
  const std::string filler(sspi::LastError::kBytes - 3, 'x');
  sspi::NoteReason({filler, "\xc3\xa4", "\xc3\xa4"});
  EXPECT_EQ(Why(), filler + "\xc3\xa4");
  sspi::NoteReason({filler, "y", "\xe2\x82\xac"});
  EXPECT_EQ(Why(), filler + "y");
  sspi::NoteReason({filler, "yz"});
  EXPECT_EQ(Why(), filler + "yz");
  sspi::ForgetReason();
  EXPECT_EQ(Why(), "");
}

}  // namespace
}  // namespace ktlsim::test
