<!DOCTYPE html><html><head><?php wp_head(); ?></head><body <?php body_class(); ?>>
<?php
if ( function_exists( 'wc_print_notices' ) && WC()->session ) {
	wc_print_notices();
}
while ( have_posts() ) {
	the_post();
	if ( function_exists( 'wc_get_template_part' ) && is_singular( 'product' ) ) {
		wc_get_template_part( 'content', 'single-product' );
	} else {
		the_content();
	}
}
wp_footer();
?>
</body></html>
