#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "io/uring.h"
#include "io/uring_probe.h"

namespace ktlsim::io {
namespace {

UringInventory Everything() { return {~0u, ~0ull, true}; }

class RingLevel {
 public:
  explicit RingLevel(const char* level) { setenv("KTLSIM_RING_LEVEL", level, 1); }
  ~RingLevel() { unsetenv("KTLSIM_RING_LEVEL"); }
};

TEST(ProbeTest, NothingIsMissingOnACompleteKernel) {
  EXPECT_EQ(NameMissing(Everything(), ""), "");
  EXPECT_EQ(NameMissing(Everything(), "6.1"), "");
  EXPECT_EQ(NameMissing(Everything(), "7.0"), "");
  EXPECT_EQ(NameMissing(Everything(), "nonsense"), "");
}

TEST(ProbeTest, NamesWhatALevelHides) {
  EXPECT_EQ(NameMissing(Everything(), "6.0"), "IORING_SETUP_DEFER_TASKRUN (Linux 6.1)");
  const std::string missing = NameMissing(Everything(), "5.19");
  EXPECT_NE(missing.find("multishot receive (Linux 6.0)"), std::string::npos) << missing;
  EXPECT_EQ(missing.find("provided buffer rings"), std::string::npos) << missing;
}

TEST(ProbeTest, NamesWhatTheKernelLacks) {
  UringInventory inventory = Everything();
  inventory.provided_buffers = false;
  EXPECT_EQ(NameMissing(inventory, ""), "provided buffer rings (Linux 5.19)");
  inventory = Everything();
  inventory.opcodes = 0;
  EXPECT_NE(NameMissing(inventory, "").find("IORING_OP_SEND (Linux 5.6)"), std::string::npos);
  inventory = Everything();
  inventory.features = 0;
  EXPECT_NE(NameMissing(inventory, "").find("IORING_FEAT_EXT_ARG (Linux 5.11)"), std::string::npos);
}

TEST(ProbeTest, SaysWhyTheSystemRefuses) {
  EXPECT_NE(ExplainRefusal(ENOSYS, "", 65536).find("6.1 is needed"), std::string::npos);
  EXPECT_NE(ExplainRefusal(EPERM, "2", 65536).find("kernel.io_uring_disabled is 2"),
            std::string::npos);
  EXPECT_NE(ExplainRefusal(EPERM, "1", 65536).find("kernel.io_uring_group"), std::string::npos);
  EXPECT_NE(ExplainRefusal(EPERM, "0", 65536).find("seccomp"), std::string::npos);
  EXPECT_NE(ExplainRefusal(EPERM, "", 65536).find("seccomp"), std::string::npos);
  EXPECT_NE(ExplainRefusal(EINVAL, "", 65536).find("DEFER_TASKRUN"), std::string::npos);
  EXPECT_NE(ExplainRefusal(ENOMEM, "", 65536).find("LimitMEMLOCK"), std::string::npos);
  EXPECT_NE(ExplainRefusal(ENOMEM, "", 65536).find("RLIMIT_MEMLOCK is 64 KiB"), std::string::npos);
  EXPECT_NE(ExplainRefusal(ENOMEM, "", RLIM_INFINITY).find("unlimited"), std::string::npos);
  EXPECT_NE(ExplainRefusal(EMFILE, "", 65536).find("LimitNOFILE"), std::string::npos);
  EXPECT_NE(ExplainRefusal(EIO, "", 65536).find("Input/output error"), std::string::npos);
}

TEST(ProbeTest, ThisKernelWillDoAtTheOldestLevelToo) {
  for (const char* level : {"", "6.1", "6.18"}) {
    const RingLevel scoped(level);
    const Result<UringFeatures> features = ProbeUring();
    ASSERT_TRUE(features.ok()) << LastProbeText();
    EXPECT_NE(features->kernel, "");
    EXPECT_TRUE(CreateUring({}).ok());
  }
}

TEST(ProbeTest, MaskedBelowTheNeedItRefusesWithWords) {
  const RingLevel scoped("5.15");
  EXPECT_EQ(ProbeUring().status().code(), EOPNOTSUPP);
  EXPECT_FALSE(CreateUring({}).ok());
  const std::string text = LastProbeText();
  EXPECT_NE(text.find("IORING_SETUP_DEFER_TASKRUN (Linux 6.1)"), std::string::npos) << text;
  EXPECT_NE(text.find("masked to 5.15"), std::string::npos) << text;
}

TEST(ProbeTest, TheReasonIsToldOnOtherThreadsToo) {
  const RingLevel scoped("5.15");
  std::thread([] { EXPECT_FALSE(CreateUring({}).ok()); }).join();
  EXPECT_NE(LastProbeText().find("masked to 5.15"), std::string::npos) << LastProbeText();
}

// What a container's filter does.
TEST(ProbeTest, ASeccompFilterIsNamed) {
  const auto refused = [] {
    const sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{.len = std::size(filter), .filter = const_cast<sock_filter*>(filter)};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
      std::_Exit(2);
    }
    std::thread([] { static_cast<void>(CreateUring({})); }).join();
    const std::string text = LastProbeText();
    std::fprintf(stderr, "%s\n", text.c_str());
    std::_Exit(0);
  };
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(refused(), testing::ExitedWithCode(0), "seccomp filter.*allow io_uring_setup");
}

}  // namespace
}  // namespace ktlsim::io
