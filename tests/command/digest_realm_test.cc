#include "kernel_sim/command/digest_realm.h"

#include <gtest/gtest.h>

namespace ktlsim::command {
namespace {

TEST(DigestRealmTest, ALineThatIsMissingIsLost) {
  EXPECT_FALSE(HasLostLine({}, {}));
  EXPECT_FALSE(HasLostLine({}, {"a"}));
  EXPECT_FALSE(HasLostLine({"a", "c"}, {"a", "b", "c"}));
  EXPECT_TRUE(HasLostLine({"a"}, {}));
  EXPECT_TRUE(HasLostLine({"a", "b"}, {"a", "c"}));
}

}  // namespace
}  // namespace ktlsim::command
