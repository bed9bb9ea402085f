#include <cerrno>
#include <cstdlib>
#include <string>

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
  EXPECT_NE(ExplainRefusal(ENOSYS, "").find("6.1 is needed"), std::string::npos);
  EXPECT_NE(ExplainRefusal(EPERM, "2").find("kernel.io_uring_disabled is 2"), std::string::npos);
  EXPECT_NE(ExplainRefusal(EPERM, "1").find("kernel.io_uring_group"), std::string::npos);
  EXPECT_NE(ExplainRefusal(EPERM, "0").find("seccomp"), std::string::npos);
  EXPECT_NE(ExplainRefusal(EPERM, "").find("seccomp"), std::string::npos);
  EXPECT_NE(ExplainRefusal(EINVAL, "").find("DEFER_TASKRUN"), std::string::npos);
  EXPECT_NE(ExplainRefusal(ENOMEM, "").find("LimitMEMLOCK"), std::string::npos);
  EXPECT_NE(ExplainRefusal(EMFILE, "").find("LimitNOFILE"), std::string::npos);
  EXPECT_NE(ExplainRefusal(EIO, "").find("Input/output error"), std::string::npos);
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

}  // namespace
}  // namespace ktlsim::io
