// Ends without a drain: the process exits, or forks, with calls in flight.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/executive/callback_gate.h"
#include "kernel_sim/sspi/certificates.h"
#include "kernel_sim/sspi/context_buffer.h"
#include "tests/support/sspi_async.h"
#include "tests/support/sspi_pair.h"
#include "tests/support/thread_sanitizer.h"

namespace ktlsim::test {
namespace {

// A program whose callbacks use a static object, and that leaves main with calls in flight.
struct Alive {
  ~Alive() {
    destroyed = true;
    // A callback that is going to come, comes now.
    for (int i = 0; i < 2000; ++i) std::this_thread::yield();
    if (entered_too_late) std::_Exit(3);
  }
  static inline std::atomic<bool> destroyed{false};
  static inline std::atomic<bool> entered_too_late{false};
  static inline std::atomic<ULONGLONG> callbacks{0};

  static void Notify(SspiAsyncContext* async, PVOID mode) {
    if (destroyed) entered_too_late = true;
    ++callbacks;
    SspiAsyncContext* next = SspiCreateAsyncContext();
    SspiSetAsyncNotifyCallback(next, &Alive::Notify, mode);
    KtlsimSetNotifyMode(next, mode == nullptr ? KTLSIM_NOTIFY_POOL : KTLSIM_NOTIFY_ON_PROCESSOR);
    SspiFreeAsyncContext(async);
    static LegMemory memory[2];
    LegMemory& leg = memory[mode != nullptr];
    leg.Accept(next, nullptr, &contexts[mode != nullptr], nullptr);
  }
  static inline CtxtHandle contexts[2] = {};
};

[[noreturn]] void ExitWithCallsInFlight() {
  // Made before the first start: destroyed after the library's own exit handler.
  static const Alive alive;
  KtlsimStart(nullptr);
  static ScriptedCredential* credential = new ScriptedCredential(RepeatedScript());
  for (CtxtHandle& context : Alive::contexts) context = ScriptedContext(*credential).Release();
  for (const bool on_processor : {false, true}) {
    SspiAsyncContext* async = SspiCreateAsyncContext();
    Alive::Notify(async, on_processor ? &Alive::contexts : nullptr);
  }
  WaitUntil([] { return Alive::callbacks > 1000; });
  std::exit(0);
}

TEST(ProcessExitDeathTest, NoCallbackIsEnteredOnceStaticObjectsAreDestroyed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(ExitWithCallsInFlight(), testing::ExitedWithCode(0), "");
}

// A callback may end the process, and nothing waits for that callback.
[[noreturn]] void ExitInACallback() {
  KtlsimStart(nullptr);
  static auto* const credential = new ScriptedCredential(RepeatedScript());
  static auto* const memory = new LegMemory();
  static CtxtHandle made{};
  SspiAsyncContext* async = SspiCreateAsyncContext();
  SspiSetAsyncNotifyCallback(async, [](SspiAsyncContext*, PVOID) { std::exit(7); }, nullptr);
  memory->Accept(async, credential->get(), nullptr, &made);
  for (;;) pause();
}

TEST(ProcessExitDeathTest, ACallbackMayExit) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(ExitInACallback(), testing::ExitedWithCode(7), "");
}

// A later drain, in a destructor of the program, still ends.
[[noreturn]] void StopBehindTheExitHandler() {
  struct Stopper {
    ~Stopper() {
      if (KtlsimStop() != SEC_E_OK) std::_Exit(4);
    }
  };
  static const Stopper stopper;
  ExitWithCallsInFlight();
}

TEST(ProcessExitDeathTest, ADrainInAStaticDestructorEnds) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(StopBehindTheExitHandler(), testing::ExitedWithCode(0), "");
}

// Runs `child` in a forked process and returns its result, 0 for success.
template <typename Child>
int InChild(Child child) {
  const pid_t pid = fork();
  if (pid == 0) _exit(child());
  EXPECT_GT(pid, 0);
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

class ForkTest : public testing::Test {
 protected:
  void SetUp() override {
#ifdef KTLSIM_TEST_TSAN
    GTEST_SKIP() << "the thread sanitizer starts no threads in a forked child";
#endif
    // Refused when the library runs already.
    static_cast<void>(KtlsimStart(nullptr));
  }
};

// A whole call in the child, on a thread of its own runtime.
int CallOnce() {
  ScriptedCredential credential(RepeatedScript());
  LegMemory memory;
  CtxtHandle made{};
  AsyncCall call;
  if (memory.Accept(call.get(), credential.get(), nullptr, &made) != SEC_E_OK) return 1;
  if (call.Finish() != SEC_I_CONTINUE_NEEDED) return 2;
  if (DeleteSecurityContext(&made) != SEC_E_OK) return 3;
  return 0;
}

TEST_F(ForkTest, TheChildsCallsFailUntilItStartsARuntimeOfItsOwn) {
  ScriptedCredential credential(RepeatedScript());
  ScriptedContext context(credential);
  EXPECT_EQ(
      InChild([&] {
        LegMemory memory;
        CtxtHandle made{};
        AsyncCall call;
        if (memory.Accept(call.get(), credential.get(), nullptr, &made) != SEC_E_INTERNAL_ERROR) {
          return 1;
        }
        if (SspiGetAsyncCallStatus(call.get()) != SEC_E_INVALID_PARAMETER) return 2;
        if (AcceptSecurityContext(credential.get(), nullptr, &memory.in_desc, 0, 0, &made,
                                  &memory.out_desc, &memory.attributes,
                                  nullptr) != SEC_E_INTERNAL_ERROR) {
          return 3;
        }
        if (call.callbacks() != 0) return 4;
        if (KtlsimStart(nullptr) != SEC_E_OK) return 5;
        const int answer = CallOnce();
        if (answer != 0) return 10 + answer;
        return KtlsimStop() == SEC_E_OK ? 0 : 6;
      }),
      0);
  EXPECT_EQ(CallOnce(), 0) << "the parent works as before";
}

// Threads do not survive a fork, so their callbacks do not end in the child. An alarm ends a child
// that waits for them.
TEST_F(ForkTest, AChildsExitDoesNotWaitForItsParentsCallbacks) {
  ScriptedCredential credential(RepeatedScript());
  struct Blocked {
    Event entered;
    Event may_return;
  } blocked;
  SspiAsyncContext* async = SspiCreateAsyncContext();
  SspiSetAsyncNotifyCallback(
      async,
      [](SspiAsyncContext*, PVOID data) {
        static_cast<Blocked*>(data)->entered.Set();
        static_cast<Blocked*>(data)->may_return.Wait();
      },
      &blocked);
  LegMemory memory;
  CtxtHandle made{};
  ASSERT_EQ(memory.Accept(async, credential.get(), nullptr, &made), SEC_E_OK);
  blocked.entered.Wait();
  const auto close = [] {
    alarm(20);
    executive::CallbackGate::Close(600 * kNsPerSecond);
    return 0;
  };
  EXPECT_EQ(InChild(close), 0);
  EXPECT_EQ(InChild([&] {
              // Its own callbacks come, and are counted.
              if (KtlsimStart(nullptr) != SEC_E_OK || CallOnce() != 0) return 1;
              return close();
            }),
            0);
  blocked.may_return.Set();
  WaitUntil([&] { return Statistics().cInFlight == 0; });
  SspiFreeAsyncContext(async);
  EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
}

// The callback belongs to the parent's library, so the child's own library may be stopped in it.
TEST_F(ForkTest, ACallbackMayForkAndTheChildHasALibraryOfItsOwn) {
  ScriptedCredential credential(RepeatedScript());
  struct Forked {
    int answer = -1;
    Event done;
  } forked;
  SspiAsyncContext* async = SspiCreateAsyncContext();
  SspiSetAsyncNotifyCallback(
      async,
      [](SspiAsyncContext*, PVOID data) {
        auto& self = *static_cast<Forked*>(data);
        self.answer = InChild([] {
          alarm(20);
          if (KtlsimStart(nullptr) != SEC_E_OK || CallOnce() != 0) return 1;
          if (KtlsimStop() != SEC_E_OK) return 2;
          executive::CallbackGate::Close(600 * kNsPerSecond);
          return 0;
        });
        self.done.Set();
      },
      &forked);
  LegMemory memory;
  CtxtHandle made{};
  ASSERT_EQ(memory.Accept(async, credential.get(), nullptr, &made), SEC_E_OK);
  forked.done.Wait();
  EXPECT_EQ(forked.answer, 0);
  WaitUntil([&] { return Statistics().cInFlight == 0; });
  SspiFreeAsyncContext(async);
  EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
}

// Two processes that seal with the same keys would repeat nonces.
TEST_F(ForkTest, TheParentsHandlesAreDeadInTheChildsRuntime) {
  ScriptedCredential credential(RepeatedScript());
  ScriptedContext context(credential);
  EXPECT_EQ(InChild([&] {
              if (KtlsimStart(nullptr) != SEC_E_OK) return 1;
              const KtlsimStatistics statistics = Statistics();
              if (statistics.cSecurityContexts != 0 || statistics.cCredentials != 0) return 2;
              if (DeleteSecurityContext(context.get()) != SEC_E_INVALID_HANDLE) return 3;
              if (FreeCredentialsHandle(credential.get()) != SEC_E_INVALID_HANDLE) return 4;
              return CallOnce() == 0 ? 0 : 5;
            }),
            0);
  LegMemory memory;
  AsyncCall call;
  ASSERT_EQ(memory.Accept(call.get(), nullptr, context.get(), nullptr), SEC_E_OK);
  EXPECT_EQ(call.Finish(), SEC_I_CONTINUE_NEEDED) << "alive in the parent";
}

// The child does not hang, whatever other threads are doing at the moment of the fork.
TEST_F(ForkTest, ForksWhileCallsAreInFlight) {
  HeldLeg held;
  ScriptedCredential credential(held.script());
  ScriptedContext context(credential);
  AsyncCall suspended;
  LegMemory memory;
  ASSERT_EQ(memory.Accept(suspended.get(), nullptr, context.get(), nullptr), SEC_E_OK);
  held.WaitUntilHeld();
  std::atomic<bool> stop{false};
  // Only the library's own functions: a lock of the test would be held in the child, too.
  ScriptedCredential busy_credential(RepeatedScript());
  std::thread busy([&] {
    while (!stop) {
      LegMemory leg;
      CtxtHandle made{};
      EXPECT_EQ(AcceptSecurityContext(busy_credential.get(), nullptr, &leg.in_desc, 0, 0, &made,
                                      &leg.out_desc, &leg.attributes, nullptr),
                SEC_I_CONTINUE_NEEDED);
      EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
    }
  });
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(InChild([] {
                if (KtlsimStart(nullptr) != SEC_E_OK) return 1;
                return CallOnce() == 0 && KtlsimStop() == SEC_E_OK ? 0 : 2;
              }),
              0);
  }
  stop = true;
  busy.join();
  held.Resume();
  EXPECT_EQ(suspended.Finish(), SEC_I_CONTINUE_NEEDED);
}

// A whole handshake, with credentials of its own. 0: success.
int HandshakeOnce() {
  TestCredential server_credential = TestCredential::Server();
  TestCredential client_credential = TestCredential::Client();
  TestEnd client(false);
  TestEnd server(true);
  if (!RunHandshake(client, client_credential.get(), server, server_credential.get())) return 1;
  server.inbox = client.Seal(ToBytes("hello"));
  return ToText(server.Open(server_credential.get())) == "hello" ? 0 : 2;
}

// Goal: no lock of ours or of OpenSSL's stays locked in a child. Method: fork while threads are in
// handshakes, which take the locks of session stores, tickets, chains and OpenSSL, and in the
// registries of buffers and certificates. Each child makes a handshake itself. A signal ends one
// that hangs, which the exit status shows.
TEST_F(ForkTest, ForksWhileHandshakesAndRegistriesAreBusy) {
  constexpr unsigned kPatienceSeconds = 30;
  ASSERT_EQ(HandshakeOnce(), 0);  // what is made once per process exists
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  for (int i = 0; i < 2; ++i) {
    busy.emplace_back([&] {
      while (!stop) EXPECT_EQ(HandshakeOnce(), 0);
    });
  }
  busy.emplace_back([&] {
    while (!stop) {
      ULONG count = 0;
      PSecPkgInfoA packages = nullptr;
      EXPECT_EQ(EnumerateSecurityPackagesA(&count, &packages), SEC_E_OK);
      EXPECT_EQ(FreeContextBuffer(packages), SEC_E_OK);
      PCCERT_CONTEXT certificate = CertDuplicateCertificateContext(LocalhostCertificate());
      EXPECT_TRUE(CertFreeCertificateContext(certificate));
      EXPECT_TRUE(SslEmptyCacheA(nullptr, 0));
    }
  });
  for (int i = 0; i < Repetitions(10); ++i) {
    ASSERT_EQ(InChild([] {
                alarm(kPatienceSeconds);
                if (KtlsimStart(nullptr) != SEC_E_OK) return 3;
                const int answer = HandshakeOnce();
                if (answer != 0) return answer;
                return KtlsimStop() == SEC_E_OK ? 0 : 4;
              }),
              0)
        << "fork " << i;
  }
  stop = true;
  for (std::thread& thread : busy) thread.join();
  EXPECT_EQ(HandshakeOnce(), 0) << "the parent works as before";
}

// Goal: a fork waits for a thread inside the fork gate, or with a registry's lock, so that its work
// is complete in the child. Method: a thread stays there until the fork has long been called.
TEST_F(ForkTest, WaitsForWhoIsInTheMidstOfSomething) {
  constexpr unsigned kPatienceSeconds = 10;
  enum class What { kInsideTheGate, kBuffers, kCertificates };
  for (const What what : {What::kInsideTheGate, What::kBuffers, What::kCertificates}) {
    std::atomic<bool> in_the_midst{false};
    std::atomic<bool> forking{false};
    std::thread worker([&] {
      const auto linger = [&] {
        in_the_midst = true;
        WaitUntil([&] { return forking.load(); });
        const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
        WaitUntil([&] { return std::chrono::steady_clock::now() >= until; });
        in_the_midst = false;
      };
      if (what == What::kInsideTheGate) {
        const ForkGate::Scope inside;
        linger();
      } else if (what == What::kBuffers) {
        sspi::LockContextBuffers();
        linger();
        sspi::UnlockContextBuffers();
      } else {
        sspi::LockCertificates();
        linger();
        sspi::UnlockCertificates();
      }
    });
    WaitUntil([&] { return in_the_midst.load(); });
    forking = true;
    EXPECT_EQ(InChild([&] {
                if (in_the_midst) return 1;
                alarm(kPatienceSeconds);
                if (KtlsimStart(nullptr) != SEC_E_OK) return 2;
                return HandshakeOnce();
              }),
              0)
        << static_cast<int>(what);
    worker.join();
  }
}

// Synchronous sealing needs no processor, so that only the dead handle keeps a child from it.
TEST_F(ForkTest, AChildCannotSealWithItsParentsKeys) {
  TestCredential server_credential = TestCredential::Server();
  TestCredential client_credential = TestCredential::Client();
  TestEnd client(false);
  TestEnd server(true);
  ASSERT_TRUE(RunHandshake(client, client_credential.get(), server, server_credential.get()));
  Bytes record(16384 + 64);
  const auto seal = [&] {
    SecBuffer buffers[4] = {{5, SECBUFFER_STREAM_HEADER, record.data()},
                            {100, SECBUFFER_DATA, record.data() + 5},
                            {17, SECBUFFER_STREAM_TRAILER, record.data() + 105},
                            {0, SECBUFFER_EMPTY, nullptr}};
    SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
    return EncryptMessage(&client.context, 0, &message, 0);
  };
  ASSERT_EQ(seal(), SEC_E_OK);
  const auto in_child = [&] {
    if (seal() != SEC_E_INVALID_HANDLE) return 1;
    if (KtlsimStart(nullptr) != SEC_E_OK) return 2;
    return seal() == SEC_E_INVALID_HANDLE ? 0 : 3;
  };
  EXPECT_EQ(InChild(in_child), 0);
  // The same with a parent whose runtime is stopped: handles outlive the stop.
  ASSERT_EQ(KtlsimStop(), SEC_E_OK);
  EXPECT_EQ(InChild(in_child), 0);
  ASSERT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  EXPECT_EQ(seal(), SEC_E_OK) << "alive in the parent";
}

TEST_F(ForkTest, TheChildOfAStoppedParentIsForkedToo) {
  ASSERT_EQ(KtlsimStop(), SEC_E_OK);
  EXPECT_EQ(InChild([] {
              CredHandle credential{};
              SecInvalidateHandle(&credential);
              const SECURITY_STATUS status =
                  AcquireCredentialsHandleA(nullptr, ScriptedName(), SECPKG_CRED_INBOUND, nullptr,
                                            nullptr, nullptr, nullptr, &credential, nullptr);
              if (status != SEC_E_INTERNAL_ERROR) return 1;
              if (KtlsimStart(nullptr) != SEC_E_OK) return 2;
              return CallOnce() == 0 ? 0 : 3;
            }),
            0);
  EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK);
}

}  // namespace
}  // namespace ktlsim::test
