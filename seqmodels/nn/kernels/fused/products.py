"""The products around the fused steps, and the gradients of their weights."""

import torch
from torch import Tensor

from seqmodels.nn.kernels.compiled.products import order_blocks, restore_blocks
from seqmodels.nn.programs import Layout


class Products:
    """What fills a workspace of (rows, at least num_blocks * width) before the arithmetic of a step.

    Args:
        layout: Of the workspace.
        width: Columns of a block.
        weight_ih: (projected columns, input_size); None where the inputs are projected already.
        bias_ih: (projected columns,) or None.
        weight_hh: (recurrent columns, width).
        bias_hh: (recurrent columns,) or None.
    """

    def __init__(
        self,
        layout: Layout,
        width: int,
        weight_ih: Tensor | None,
        bias_ih: Tensor | None,
        weight_hh: Tensor,
        bias_hh: Tensor | None,
    ) -> None:
        self.layout, self.width = layout, width
        self.columns, self.apart = layout.num_blocks * width, layout.first_projected * width
        self.recurrent = len(layout.recurrent) * width
        self.hh = order_blocks(weight_hh, layout.recurrent, width)
        self.ih = None if weight_ih is None else order_blocks(weight_ih, layout.projected, width)
        self.bias = weight_hh.new_zeros(self.columns)
        if bias_ih is not None:
            self.bias[self.apart :] += order_blocks(bias_ih, layout.projected, width)
        if bias_hh is not None:
            self.bias[: self.recurrent] += order_blocks(bias_hh, layout.recurrent, width)

    def project(self, inputs: Tensor, work: Tensor) -> None:
        """Fills the workspace of any number of steps, but for the recurrent product."""
        work[:, : self.apart] = self.bias[: self.apart]
        bias, projected = self.bias[self.apart :], work[:, self.apart : self.columns]
        if self.ih is None:
            torch.add(order_blocks(inputs.t(), self.layout.projected, self.width).t(), bias, out=projected)
        else:
            torch.addmm(bias, inputs, self.ih.t(), out=projected)

    def recur(self, hidden: Tensor, work: Tensor) -> None:
        """Adds the recurrent product of (rows, width)."""
        work[:, : self.recurrent].addmm_(hidden, self.hh.t())

    def recur_back(self, grad_work: Tensor, grad_hidden: Tensor) -> None:
        """Writes what the recurrent product passes back."""
        torch.mm(grad_work[:, : self.recurrent], self.hh, out=grad_hidden)

    def input_gradient(self, grad_work: Tensor) -> Tensor:
        """Gives the gradient of the inputs of `project`."""
        projected = grad_work[:, self.apart :]
        if self.ih is None:
            return restore_blocks(projected.t(), self.layout.projected, self.width).t()
        return projected @ self.ih


class WeightGradients:
    """The gradients of weights and biases, added up run by run.

    Args:
        products: Of the workspace.
        needs: Whether those of weight_ih, bias_ih, weight_hh, bias_hh are wanted.
    """

    def __init__(self, products: Products, needs: tuple[bool, ...]) -> None:
        self.products, self.needs = products, needs
        self._sums: list[Tensor | None] = [None, None, None, None]

    def add(self, grad_work: Tensor, inputs: Tensor, earlier: Tensor) -> None:
        """Adds what a run of steps gives.

        Args:
            grad_work: Gradients of the workspace, (rows, num_blocks * width).
            inputs: (rows, input_size).
            earlier: The hidden states that were multiplied, (rows, width).
        """
        projected, recurrent = grad_work[:, self.products.apart :], grad_work[:, : self.products.recurrent]
        makers = (
            lambda: projected.t() @ inputs,
            lambda: projected.sum(0),
            lambda: recurrent.t() @ earlier,
            lambda: recurrent.sum(0),
        )
        for k, (make, needed) in enumerate(zip(makers, self.needs, strict=True)):
            if needed:
                so_far = self._sums[k]
                self._sums[k] = make() if so_far is None else so_far + make()

    def results(self) -> list[Tensor | None]:
        """Gives the gradients in the order of the weights' own blocks, None where not wanted."""
        layout = self.products.layout
        orders = (layout.projected, layout.projected, layout.recurrent, layout.recurrent)
        pairs = zip(self._sums, orders, strict=True)
        return [None if s is None else restore_blocks(s, order, self.products.width) for s, order in pairs]
