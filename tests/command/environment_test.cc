#include "kernel_sim/command/environment.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace ktlsim::command {
namespace {

std::string Check(const char* entry) {
  const std::array<const char*, 2> environment = {"HOME=/", entry};
  return CheckEnvironment(environment);
}

TEST(EnvironmentTest, TakesWhatIsDocumented) {
  for (const char* entry : {"KTLSIM_TRACE=text", "KTLSIM_TRACE=json", "KTLSIM_MISUSE=abort",
                            "KTLSIM_AEAD=evp", "KTLSIM_AEAD=ipsec-mb", "KTLSIM_RING_LEVEL=6.1",
                            "KTLSIM_TRACE=", "KTLSIM_SEED=7", "KTLSIM_SCHEDULE=1,2", "TRACE=txt"}) {
    EXPECT_EQ(Check(entry), "") << entry;
  }
}

TEST(EnvironmentTest, RefusesOtherValuesWithThoseThatExist) {
  EXPECT_NE(Check("KTLSIM_TRACE=txt").find("it can be text or json"), std::string::npos);
  EXPECT_NE(Check("KTLSIM_MISUSE=yes").find("it can be abort"), std::string::npos);
  EXPECT_NE(Check("KTLSIM_AEAD=openssl").find("evp or ipsec-mb"), std::string::npos);
  EXPECT_NE(Check("KTLSIM_RING_LEVEL=banana").find("6.1"), std::string::npos);
}

TEST(EnvironmentTest, AMistypedNameIsFound) {
  EXPECT_NE(Check("KTLSIM_TRCE=text").find("did you mean KTLSIM_TRACE?"), std::string::npos);
  EXPECT_NE(Check("KTLSIM_MISSUSE=abort").find("did you mean KTLSIM_MISUSE?"), std::string::npos);
}

}  // namespace
}  // namespace ktlsim::command
