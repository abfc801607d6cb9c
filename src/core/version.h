#pragma once

#include <string>
#include <vector>

namespace retort {

/// "0.1.0".
std::string version();

/// An optional part of the build and whether it is in.
struct BuildPart {
  std::string name;
  bool present;
  std::string detail;
};

/// libtorch and CUDA versions, and the optional libraries of this build.
std::vector<BuildPart> build_parts();

}  // namespace retort
