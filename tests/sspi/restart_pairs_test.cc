// Each thing that a program can do with the library, paired with each other one on two threads,
// again and again. Afterwards nothing may be left over; the sanitizers check the rest.

#include <ktlsim/processor.h>
#include <ktlsim/sspi_ext.h>
#include <sspi.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sspi_async.h"
#include "tests/support/sspi_pair.h"
#include "tests/support/thread_sanitizer.h"

namespace ktlsim::test {
namespace {

// The statuses that any call may return when another thread stops the library.
bool ServedOrStopped(SECURITY_STATUS status) {
  return status >= 0 || status == SEC_E_SHUTDOWN_IN_PROGRESS;
}

sspi::Script* EndlessScript() {
  static sspi::Script* const script = KeepScript(RepeatedScript());
  return script;
}

// The objects that one of the two threads works with. A runtime is started to make them.
struct Party {
  Party() {
    EXPECT_TRUE(RunHandshake(client, client_credential.get(), server, server_credential.get()));
  }

  TestCredential server_credential = TestCredential::Server();
  TestCredential client_credential = TestCredential::Client();
  TestEnd client{false};
  TestEnd server{true};
  ScriptedCredential credential{*EndlessScript()};
};

SECURITY_STATUS LegNow(PCredHandle credential, CtxtHandle* made) {
  LegMemory leg;
  return AcceptSecurityContext(credential, nullptr, &leg.in_desc, 0, 0, made, &leg.out_desc,
                               &leg.attributes, nullptr);
}

void DeleteAndForget(CtxtHandle context) {
  SspiAsyncContext* async = SspiCreateAsyncContext();
  EXPECT_TRUE(ServedOrStopped(SspiDeleteSecurityContextAsync(async, &context)));
  SecInvalidateHandle(&context);
  SspiFreeAsyncContext(async);
}

// ---- What is done

void Start(Party&) {
  const SECURITY_STATUS status = KtlsimStart(nullptr);
  EXPECT_TRUE(ServedOrStopped(status) || status == SEC_E_INVALID_PARAMETER) << status;
}

void Stop(Party&) { EXPECT_EQ(KtlsimStop(), SEC_E_OK); }

void Restart(Party& party) {
  Stop(party);
  Start(party);
}

void BadStart(Party&) {
  KtlsimOptions options{};
  options.cbSize = sizeof(options);
  options.cProcessors = 100000;
  EXPECT_NE(KtlsimStart(&options), SEC_E_OK);
}

#ifndef KTLSIM_TEST_TSAN  // ThreadSanitizer starts no threads in a forked child
// The child uses nothing of the test that could be locked there.
int InForkedChild() {
  alarm(60);
  KtlsimStatistics statistics{};
  statistics.cbSize = sizeof(statistics);
  if (KtlsimQueryStatistics(&statistics) != SEC_E_OK || statistics.cInFlight != 0) return 1;
  if (KtlsimStart(nullptr) != SEC_E_OK) return 2;
  CredHandle credential{};
  if (AcquireCredentialsHandleA(nullptr, ScriptedName(), SECPKG_CRED_INBOUND, nullptr,
                                EndlessScript(), nullptr, nullptr, &credential,
                                nullptr) != SEC_E_OK) {
    return 3;
  }
  CtxtHandle made{};
  if (LegNow(&credential, &made) != SEC_I_CONTINUE_NEEDED) return 4;
  if (DeleteSecurityContext(&made) != SEC_E_OK) return 5;
  if (FreeCredentialsHandle(&credential) != SEC_E_OK) return 6;
  return KtlsimStop() == SEC_E_OK ? 0 : 7;
}

void Fork(Party&) {
  const pid_t pid = fork();
  if (pid == 0) _exit(InForkedChild());
  ASSERT_GT(pid, 0);
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0) << "signal " << WTERMSIG(status) << ", exit " << WEXITSTATUS(status);
}
#endif

void ReadStatistics(Party&) {
  const KtlsimStatistics now = Statistics();
  EXPECT_LT(now.cInFlight, 1000U);
  EXPECT_LT(now.cNotifyThreads, 1000U);
  KtlsimProcessorStatistics processor{};
  processor.cbSize = sizeof(processor);
  for (ULONG i = 0; KtlsimQueryProcessorStatistics(i, &processor) == SEC_E_OK; ++i) {
    EXPECT_LT(processor.Lanes[KTLSIM_LANE_RECORD].cDepth, 1000U);
  }
  static_cast<void>(KtlsimProcessorCpuNs("io"));
}

void VisitProcessors(Party&) {
  const SECURITY_STATUS status = KtlsimForEachProcessor(
      [](void*, const KtlsimProcessor* processor) {
        EXPECT_FALSE(processor->loop->IsCurrentThread());
        EXPECT_EQ(KtlsimStop(), SEC_E_INVALID_PARAMETER);
      },
      nullptr);
  EXPECT_TRUE(ServedOrStopped(status)) << status;
}

void CancelOne(Party& party) {
  AsyncCall call;
  LegMemory leg;
  CtxtHandle made{};
  SecInvalidateHandle(&made);
  const SECURITY_STATUS status = leg.Accept(call.get(), party.credential.get(), nullptr, &made);
  ASSERT_TRUE(ServedOrStopped(status)) << status;
  static_cast<void>(KtlsimCancelAsyncCall(call.get()));
  if (status == SEC_E_OK) call.Finish();
  if (SecIsValidHandle(&made)) DeleteAndForget(made);
}

void MakeAndFreeAsyncContexts(Party&) {
  SspiAsyncContext* async = SspiCreateAsyncContext();
  EXPECT_EQ(KtlsimSetNotifyMode(async, KTLSIM_NOTIFY_ON_PROCESSOR), SEC_E_OK);
  EXPECT_EQ(KtlsimSetQueueWaitLimit(async, 5), SEC_E_OK);
  EXPECT_EQ(SspiReinitAsyncContext(async), STATUS_SUCCESS);
  SspiFreeAsyncContext(async);
}

void CallAndDelete(Party& party) {
  AsyncCall call(KTLSIM_NOTIFY_ON_PROCESSOR);
  LegMemory leg;
  CtxtHandle made{};
  const SECURITY_STATUS status = leg.Accept(call.get(), party.credential.get(), nullptr, &made);
  ASSERT_TRUE(ServedOrStopped(status)) << status;
  if (status != SEC_E_OK) return;
  EXPECT_EQ(call.Finish(), SEC_I_CONTINUE_NEEDED);
  DeleteAndForget(made);
}

void CallNowAndDelete(Party& party) {
  CtxtHandle made{};
  const SECURITY_STATUS status = LegNow(party.credential.get(), &made);
  ASSERT_TRUE(ServedOrStopped(status)) << status;
  if (status < 0) return;
  EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
}

void AcquireAndFree(Party&) {
  CredHandle credential{};
  SecInvalidateHandle(&credential);
  char package[] = UNISP_NAME_A;
  SCH_CREDENTIALS options{};
  options.dwVersion = SCH_CREDENTIALS_VERSION;
  options.dwFlags = SCH_CRED_MANUAL_CRED_VALIDATION;
  EXPECT_TRUE(
      ServedOrStopped(AcquireCredentialsHandleA(nullptr, package, SECPKG_CRED_OUTBOUND, nullptr,
                                                &options, nullptr, nullptr, &credential, nullptr)));
  if (!SecIsValidHandle(&credential)) return;
  AsyncCall call;
  const SECURITY_STATUS status = SspiFreeCredentialsHandleAsync(call.get(), &credential);
  EXPECT_TRUE(ServedOrStopped(status)) << status;
  if (status == SEC_E_OK) {
    EXPECT_EQ(call.Finish(), SEC_E_OK);
  }
}

void QueryAttributes(Party& party) {
  SecPkgContext_StreamSizes sizes{};
  EXPECT_EQ(QueryContextAttributesA(&party.client.context, SECPKG_ATTR_STREAM_SIZES, &sizes),
            SEC_E_OK);
}

void EncryptAndDecrypt(Party& party) {
  Append(party.server.inbox, party.client.Seal(ToBytes("hello")));
  EXPECT_EQ(ToText(party.server.Open(party.server_credential.get())), "hello");
}

void EncryptAsynchronously(Party& party) {
  Bytes record(64);
  SecBuffer buffers[4] = {{5, SECBUFFER_STREAM_HEADER, record.data()},
                          {10, SECBUFFER_DATA, record.data() + 5},
                          {17, SECBUFFER_STREAM_TRAILER, record.data() + 15},
                          {0, SECBUFFER_EMPTY, nullptr}};
  SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
  AsyncCall call;
  const SECURITY_STATUS status =
      SspiEncryptMessageAsync(call.get(), &party.server.context, 0, &message, 0);
  EXPECT_TRUE(ServedOrStopped(status)) << status;
  if (status == SEC_E_OK) {
    EXPECT_EQ(call.Finish(), SEC_E_OK);
  }
}

struct Deed {
  const char* name;
  void (*act)(Party& party);
  int times;
  bool needs_party = true;
};
constexpr std::array kDeeds = {
    Deed{"Start", &Start, 4, false},
    Deed{"Stop", &Stop, 4, false},
    Deed{"Restart", &Restart, 6, false},
    Deed{"BadStart", &BadStart, 50, false},
#ifndef KTLSIM_TEST_TSAN
    Deed{"Fork", &Fork, 2},
#endif
    Deed{"ReadStatistics", &ReadStatistics, 200, false},
    Deed{"VisitProcessors", &VisitProcessors, 200, false},
    Deed{"CancelOne", &CancelOne, 50},
    Deed{"MakeAndFreeAsyncContexts", &MakeAndFreeAsyncContexts, 500, false},
    Deed{"CallAndDelete", &CallAndDelete, 50},
    Deed{"CallNowAndDelete", &CallNowAndDelete, 50},
    Deed{"AcquireAndFree", &AcquireAndFree, 3, false},
    Deed{"QueryAttributes", &QueryAttributes, 500},
    Deed{"EncryptAndDecrypt", &EncryptAndDecrypt, 200},
    Deed{"EncryptAsynchronously", &EncryptAsynchronously, 50},
};

void PrintTo(const Deed& deed, std::ostream* out) { *out << deed.name; }

// Both at once, each as often as its row says.
void Both(const Deed& first, const Deed& second, std::array<Party, 2>& parties) {
  std::atomic<int> begun{0};
  std::atomic<int> ended{0};
  const auto run = [&](const Deed& deed, Party& party) {
    ++begun;
    while (begun != 2) std::this_thread::yield();
    for (int i = 0; i < deed.times; ++i) deed.act(party);
    ++ended;
  };
  std::thread other([&] { run(second, parties[1]); });
  run(first, parties[0]);
  other.join();
}

class RestartPairsTest : public testing::TestWithParam<Deed> {
 protected:
  void SetUp() override { Ensure(); }
  void TearDown() override { Ensure(); }
  static void Ensure() {
    // Refused when the library runs already.
    static_cast<void>(KtlsimStart(nullptr));
  }
};

TEST_P(RestartPairsTest, BesideEachOther) {
  std::array<Party, 2> parties;
  const KtlsimStatistics before = Statistics();
  for (const Deed& other : kDeeds) {
    SCOPED_TRACE(other.name);
    Ensure();
    Both(GetParam(), other, parties);
    // A drain: a processor may still hold the object of its last call.
    ASSERT_EQ(KtlsimStop(), SEC_E_OK);
    const KtlsimStatistics after = Statistics();
    ASSERT_EQ(after.cAsyncContexts, before.cAsyncContexts);
    ASSERT_EQ(after.cSecurityContexts, before.cSecurityContexts);
    ASSERT_EQ(after.cCredentials, before.cCredentials);
    ASSERT_EQ(after.cAccepted, after.cCompleted);
    ASSERT_FALSE(HasFailure());
  }
}

INSTANTIATE_TEST_SUITE_P(, RestartPairsTest, testing::ValuesIn(kDeeds),
                         [](const auto& test) { return std::string(test.param.name); });

// ---- The ends of a process's life, each in a process of its own

// An action during the first use of a library that has never been started.
[[noreturn]] void FirstUseBeside(const Deed& deed) {
  alarm(60);
  std::atomic<int> begun{0};
  std::thread user([&begun] {
    ++begun;
    while (begun != 2) std::this_thread::yield();
    CredHandle credential{};
    SecInvalidateHandle(&credential);
    char package[] = UNISP_NAME_A;
    SCH_CREDENTIALS options{};
    options.dwVersion = SCH_CREDENTIALS_VERSION;
    if (!ServedOrStopped(AcquireCredentialsHandleA(nullptr, package, SECPKG_CRED_OUTBOUND, nullptr,
                                                   &options, nullptr, nullptr, &credential,
                                                   nullptr))) {
      std::_Exit(2);
    }
    if (SecIsValidHandle(&credential)) FreeCredentialsHandle(&credential);
  });
  ++begun;
  while (begun != 2) std::this_thread::yield();
  // Making a party would be an earlier use. The actions here do not read it.
  alignas(Party) std::byte nobody[sizeof(Party)];
  deed.act(reinterpret_cast<Party&>(nobody));
  user.join();
  std::exit(testing::Test::HasFailure() ? 1 : 0);
}

[[noreturn]] void ExitBeside(const Deed& deed) {
  alarm(60);
  sspi::Runtime::Instance().RegisterPackage(sspi::ScriptedPackage::Instance());
  KtlsimStart(nullptr);
  static auto* const party = new Party();
  static std::atomic<int> done{0};
  // By value: the test framework's objects are destroyed meanwhile.
  std::thread([act = deed.act] {
    for (;;) {
      act(*party);
      ++done;
    }
  }).detach();
  WaitUntil([] { return done > 2; });
  std::exit(0);
}

std::vector<Deed> WithoutParty() {
  std::vector<Deed> deeds;
  std::ranges::copy_if(kDeeds, std::back_inserter(deeds),
                       [](const Deed& deed) { return !deed.needs_party; });
  return deeds;
}

class FirstUseDeathTest : public testing::TestWithParam<Deed> {};
class ExitDeathTest : public testing::TestWithParam<Deed> {};

TEST_P(FirstUseDeathTest, BesideIt) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(FirstUseBeside(GetParam()), testing::ExitedWithCode(0), "");
}

TEST_P(ExitDeathTest, BesideIt) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(ExitBeside(GetParam()), testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(, FirstUseDeathTest, testing::ValuesIn(WithoutParty()),
                         [](const auto& test) { return std::string(test.param.name); });
INSTANTIATE_TEST_SUITE_P(, ExitDeathTest, testing::ValuesIn(kDeeds),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace ktlsim::test
