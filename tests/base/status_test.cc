#include "kernel_sim/base/status.h"

#include <cerrno>

#include <gtest/gtest.h>

#include "kernel_sim/base/level.h"
#include "kernel_sim/base/result.h"

namespace ktlsim {
namespace {

TEST(StatusTest, SaysWhatWasTriedAndWhyItFailed) {
  EXPECT_EQ(IoError(EADDRINUSE, "bind 127.0.0.1:443").ToString(),
            "bind 127.0.0.1:443: Address already in use");
  EXPECT_EQ(Status(Category::kResource, EAGAIN, "start a thread").ToString(),
            "start a thread: Resource temporarily unavailable");
  EXPECT_EQ(ResourceError("memory for a ring").ToString(), "memory for a ring");
  EXPECT_EQ(Status(Category::kTls, 40, "no shared cipher").ToString(), "no shared cipher (tls 40)");
  EXPECT_EQ(Status().ToString(), "ok");
}

TEST(ResultTest, HoldsEitherAValueOrAFailure) {
  Result<int> value = 7;
  EXPECT_TRUE(value.ok());
  EXPECT_EQ(*value, 7);
  Result<int> failure = ResourceError("buffers");
  EXPECT_FALSE(failure.ok());
  EXPECT_EQ(failure.status().category(), Category::kResource);
}

TEST(LevelTest, IsRestoredAtTheEndOfTheScope) {
  EXPECT_EQ(CurrentLevel(), Level::kPassive);
  {
    ScopedLevel raised(Level::kDispatch);
    EXPECT_EQ(CurrentLevel(), Level::kDispatch);
  }
  EXPECT_EQ(CurrentLevel(), Level::kPassive);
}

}  // namespace
}  // namespace ktlsim
