#pragma once

#include <memory>

#include "retort/methods/method.h"

namespace retort::methods {

/// Distribution matching (Zhao and Bilen, WACV 2023).
std::unique_ptr<Method> make_dm();

}  // namespace retort::methods
