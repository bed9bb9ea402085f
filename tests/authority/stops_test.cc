// Stops of the library, as who has to know about them sees them: each in a process of its own, in
// which nothing has run before.
#include <ktlsim/sspi_ext.h>
#include <unistd.h>

#include <string>

#include <gtest/gtest.h>

#include "kernel_sim/sspi/runtime.h"
#include "tests/authority/authority_test_support.h"

namespace ktlsim::test {
namespace {

class StopsTest : public AuthorityTest {
 protected:
  // `run` returns 0 in a process that has used nothing yet.
  template <typename Run>
  static void ExpectInNewProcess(const Run& run) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(_exit(run()), testing::ExitedWithCode(0), "");
  }
};

TEST_F(StopsTest, AccountsThatComeAfterTheStopAdmitNobody) {
  ExpectInNewProcess([this] {
    if (KtlsimStart(nullptr) != SEC_E_OK || KtlsimStop() != SEC_E_OK) return 1;
    if (Load(AccountText("alice")) != SEC_E_OK) return 2;
    if (LogOn("alice") != ERROR_NO_LOGON_SERVERS) return 3;
    if (KtlsimStart(nullptr) != SEC_E_OK) return 4;
    return LogOn("alice") == ERROR_SUCCESS ? 0 : 5;
  });
}

// What it is told. `overtaken`: the first stop, which is of a library that has never run, lasts
// until it was started and stopped.
class StopWatcher final : public sspi::RuntimeWatcher {
 public:
  explicit StopWatcher(bool overtaken) : overtaken_(overtaken) {}
  void OnStop() override {
    told_ += "stop ";
    if (!overtaken_ || told_ != "stop ") return;
    EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK);
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  }
  void OnStart() override { told_ += "start "; }
  const std::string& told() const { return told_; }

 private:
  const bool overtaken_;
  std::string told_;
};

TEST_F(StopsTest, AStopOfNothingIsToldWithItsEnd) {
  ExpectInNewProcess([] {
    static StopWatcher watcher(false);
    sspi::Runtime::Instance().Watch(watcher);
    if (!watcher.told().empty() || KtlsimStop() != SEC_E_OK) return 1;
    return watcher.told() == "stop start " ? 0 : 2;
  });
}

TEST_F(StopsTest, TheEndOfAStopOfNothingIsNotToldWhileAnotherLasts) {
  ExpectInNewProcess([] {
    static StopWatcher watcher(true);
    sspi::Runtime::Instance().Watch(watcher);
    if (KtlsimStop() != SEC_E_OK) return 1;
    if (watcher.told() != "stop start stop ") return 2;
    if (KtlsimStart(nullptr) != SEC_E_OK) return 3;
    return watcher.told() == "stop start stop start " ? 0 : 4;
  });
}

}  // namespace
}  // namespace ktlsim::test
