// The option of methods whose classes or groups of images can be learned by independent jobs.
#pragma once

namespace retort::methods {

inline constexpr const char* kShardHelp =
    "INDEX/COUNT: the part of the set that this job learns, in a folder of its own; `retort merge` "
    "puts the parts together";

}  // namespace retort::methods
