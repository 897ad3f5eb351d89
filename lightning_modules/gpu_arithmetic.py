"""What a GPU may do for speed that moves a number, said explicitly; torch's defaults are mixed."""

import torch


def allow_tf32(allow: bool) -> None:
    """Whether products of fp32 numbers, which torch rounds to TF32 in convolutions, are TF32.

    By the older names of these switches: torch's exporter and compiler read them, and are refused
    where they were set by the newer ones.
    """
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allow


def search_algorithms(search: bool) -> None:
    """Whether cuDNN times its algorithms for each new size and takes the fastest.

    For crops, which have one size. For whole images it takes the usual ones: ranks that found
    others would predict other bits.
    """
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.backends.cudnn.benchmark = search and not deterministic
