<?php
// Action Scheduler: its tables and the functions that plugins call. Actions run when a test says so, as after minutes without a visitor.

function as_schedule_single_action( $timestamp, $hook, $args = array(), $group = '' ) {
	global $wpdb;
	$groups = "{$wpdb->prefix}actionscheduler_groups";
	$of     = (int) $wpdb->get_var( $wpdb->prepare( "SELECT group_id FROM $groups WHERE slug = %s", $group ) );
	if ( ! $of ) {
		$wpdb->insert( $groups, array( 'slug' => $group ) );
		$of = $wpdb->insert_id;
	}
	$wpdb->insert(
		"{$wpdb->prefix}actionscheduler_actions",
		array(
			'hook'               => $hook,
			'status'             => 'pending',
			'args'               => wp_json_encode( $args ),
			'group_id'           => $of,
			'scheduled_date_gmt' => gmdate( 'Y-m-d H:i:s', $timestamp ),
		)
	);
	return $wpdb->insert_id;
}

function as_next_scheduled_action( $hook, $args = null, $group = '' ) {
	global $wpdb;
	$found = $wpdb->get_row( $wpdb->prepare( "SELECT status, scheduled_date_gmt FROM {$wpdb->prefix}actionscheduler_actions WHERE hook = %s AND args = %s AND status IN ('pending', 'in-progress') LIMIT 1", $hook, wp_json_encode( $args ) ) );
	return $found ? ( 'pending' === $found->status ? strtotime( $found->scheduled_date_gmt . ' UTC' ) : true ) : false;
}

function as_get_scheduled_actions( $args, $return = 'ids' ) {
	global $wpdb;
	return $wpdb->get_col( $wpdb->prepare( "SELECT action_id FROM {$wpdb->prefix}actionscheduler_actions a JOIN {$wpdb->prefix}actionscheduler_groups g ON g.group_id = a.group_id WHERE g.slug = %s AND a.status = %s ORDER BY action_id LIMIT %d", $args['group'], $args['status'], $args['per_page'] ) );
}

function as_unschedule_all_actions( $hook, $args = array(), $group = '' ) {
	global $wpdb;
	$wpdb->query( $wpdb->prepare( "UPDATE {$wpdb->prefix}actionscheduler_actions a JOIN {$wpdb->prefix}actionscheduler_groups g ON g.group_id = a.group_id SET a.status = 'canceled' WHERE g.slug = %s AND a.status = 'pending'", $group ) );
}

class ActionScheduler {
	public static function runner() {
		return new self();
	}

	public function process_action( $id, $context = '' ) {
		global $wpdb;
		$table  = "{$wpdb->prefix}actionscheduler_actions";
		$action = $wpdb->get_row( $wpdb->prepare( "SELECT * FROM $table WHERE action_id = %d", $id ) );
		$wpdb->update( $table, array( 'status' => 'in-progress' ), array( 'action_id' => $id ) );
		do_action_ref_array( $action->hook, array_values( json_decode( $action->args, true ) ) );
		$wpdb->update( $table, array( 'status' => 'complete' ), array( 'action_id' => $id ) );
	}
}
