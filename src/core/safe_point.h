// Loops for which stopping at once would lose work. No torch here.
#pragma once

namespace retort {

/// RAII: a loop that looks at its stop flag after each step, and saves what it has then.
class SafePointAhead {
 public:
  SafePointAhead();
  SafePointAhead(const SafePointAhead&) = delete;
  SafePointAhead& operator=(const SafePointAhead&) = delete;
  ~SafePointAhead();
};

/// True while there is such a loop. A signal handler may call it.
bool safe_point_ahead();

}  // namespace retort
