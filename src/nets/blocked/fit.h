// Which networks the engine takes.
#pragma once

#include <optional>

#include "nets/blocked/weights.h"
#include "nets/engine.h"

namespace retort::nets {

/// The layers of a network of the family; nothing for another network, for another shape.
std::optional<BlockedNetwork> fit_blocks(const Definition& definition);

}  // namespace retort::nets
