"""Portfolios: holdings, valuation, payback and price advice."""
