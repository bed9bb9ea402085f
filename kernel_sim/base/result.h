// Result<T>: a value, or the Status that tells why there is none.
#pragma once

#include <utility>
#include <variant>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/status.h"

namespace ktlsim {

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<1>, std::move(value)) {}
  Result(Status failure) : content_(std::in_place_index<0>, failure) {
    KTLSIM_ASSERT(!failure.ok());
  }

  bool ok() const { return content_.index() == 1; }
  explicit operator bool() const { return ok(); }

  Status status() const { return ok() ? Status() : std::get<0>(content_); }

  T& value() & {
    KTLSIM_CHECK(ok());
    return std::get<1>(content_);
  }
  const T& value() const& {
    KTLSIM_CHECK(ok());
    return std::get<1>(content_);
  }
  T&& value() && {
    KTLSIM_CHECK(ok());
    return std::move(std::get<1>(content_));
  }
  T& operator*() & { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<Status, T> content_;
};

}  // namespace ktlsim
