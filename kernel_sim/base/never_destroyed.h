// NeverDestroyed: an object in static memory that threads may still use while the process destroys
// its static objects. Unlike an object made by `new`, it needs no memory that could run out.
//
//   static NeverDestroyed<Registry> registry;  // a local variable: it is made on first use
//   return registry.get();
#pragma once

#include <cstddef>
#include <new>

namespace ktlsim {

template <typename T>
class NeverDestroyed {
 public:
  NeverDestroyed() { new (memory_) T(); }
  NeverDestroyed(const NeverDestroyed&) = delete;
  NeverDestroyed& operator=(const NeverDestroyed&) = delete;

  T& get() { return *std::launder(reinterpret_cast<T*>(memory_)); }

 private:
  alignas(T) std::byte memory_[sizeof(T)];
};

}  // namespace ktlsim
