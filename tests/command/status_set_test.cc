#include "kernel_sim/command/status_set.h"

#include <string>

#include <gtest/gtest.h>

namespace ktlsim::command {
namespace {

TEST(StatusSetTest, ReadsClassesAndStatuses) {
  StatusSet set;
  EXPECT_EQ(ParseStatuses("2xx,404", &set), "");
  EXPECT_TRUE(set.Has(200) && set.Has(299) && set.Has(404));
  EXPECT_FALSE(set.Has(199) || set.Has(300) || set.Has(403) || set.Has(405));
  EXPECT_EQ(ParseStatuses("599", &set), "");
  EXPECT_TRUE(set.Has(599));
  EXPECT_FALSE(set.Has(200) || set.Has(600) || set.Has(~0U));
}

TEST(StatusSetTest, TheDefaultIsWhatIsNoError) {
  for (unsigned status = 0; status < 700; ++status) {
    EXPECT_EQ(StatusSet::Default().Has(status), status >= 200 && status < 400) << status;
  }
}

TEST(StatusSetTest, RefusesEverythingElse) {
  StatusSet set = StatusSet::Default();
  for (const std::string text : {"", ",", "2xx,", ",2xx", "2x", "20", "2000", "0xx", "6xx", "099",
                                 "600", "2XX", "2x0", "-20", "2xx 3xx", "all"}) {
    const std::string wrong = ParseStatuses(text, &set);
    EXPECT_NE(wrong.find("is not a list of statuses"), std::string::npos) << text;
  }
  EXPECT_TRUE(set.Has(302));
}

}  // namespace
}  // namespace ktlsim::command
