// Why a thread could not be made, as a Status. Private to the executive.
#pragma once

#include <cerrno>
#include <exception>
#include <system_error>

#include "kernel_sim/base/status.h"

namespace ktlsim::executive {

// `error` is what the constructor of std::thread threw. No threads and no memory (also for the
// thread's stack) are kResource; anything else, such as a sandbox's refusal, is kIo.
inline Status ThreadError(const std::exception& error, const char* what) {
  const auto* const system = dynamic_cast<const std::system_error*>(&error);
  if (system == nullptr) return {Category::kResource, ENOMEM, what};
  const int error_number = system->code().value();
  const bool resource = error_number == EAGAIN || error_number == ENOMEM;
  return {resource ? Category::kResource : Category::kIo, error_number, what};
}

}  // namespace ktlsim::executive
